-- Which operations act on a user of p_locked: by index, of a group its first. See apply_operations for
-- the other parameters.
CREATE OR REPLACE FUNCTION locked_operations(
  p_users bigint[], p_slots integer[], p_to_slots integer[], p_groups integer[], p_locked bigint[]
) RETURNS integer[]
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
  operations integer[] := '{}';
  operation integer;
  group_number integer;
BEGIN
  FOR i IN 1..cardinality(p_slots) LOOP
    IF group_number IS NULL OR p_groups[i] IS DISTINCT FROM group_number THEN
      group_number := p_groups[i]; operation := i;
    END IF;
    IF p_users[p_slots[i]] = ANY (p_locked) OR p_users[p_to_slots[i]] = ANY (p_locked) THEN
      operations := operations || operation;
    END IF;
  END LOOP;
  RETURN operations;
END $$;
