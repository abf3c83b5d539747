DROP FUNCTION apply_adjustment;
DROP FUNCTION apply_operations;
DROP FUNCTION hold_state;
DROP FUNCTION close_due_holds;
DROP FUNCTION locked_operations;
DROP FUNCTION stored_outcomes;
DROP FUNCTION remove_old_keys;
