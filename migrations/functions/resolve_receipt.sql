-- What became of a batch whose answer was lost. First its session is ended, which may be waiting for a lock
-- or for the end of a packet while it keeps others waiting: by who asks, who may end sessions of his own role.
-- Then the fence is raised, see raise_fence().
CREATE OR REPLACE FUNCTION resolve_receipt(p_receipt bigint, p_number bigint, p_session text) RETURNS json
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
  PERFORM pg_terminate_backend(a.pid) FROM pg_stat_activity a
    WHERE a.application_name = p_session AND a.usename = current_user AND a.pid <> pg_backend_pid();
  RETURN raise_fence(p_receipt, p_number);
END $$;
