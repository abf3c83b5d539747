-- A line about what an administrator did, in the transaction that does it.
CREATE OR REPLACE FUNCTION write_audit(p_actor text, p_action text, p_details jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
  INSERT INTO audit (actor, action, details) VALUES (p_actor, p_action, p_details);
END $$;
