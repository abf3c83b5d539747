DROP FUNCTION apply_operations;
