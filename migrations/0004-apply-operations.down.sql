DROP FUNCTION apply_adjustment;
DROP FUNCTION apply_operations;
DROP FUNCTION hold_state;
