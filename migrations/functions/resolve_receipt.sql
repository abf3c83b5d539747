-- What became of a batch whose answer was lost. First its session is ended, which may be waiting for a lock
-- or for the end of a packet while it keeps others waiting. Then the fence is raised: this waits for a batch
-- that is committing, and one that comes later finds the fence and fails. So what is not there now never
-- will be. Good once this statement has committed, where a synchronous standby has it as well.
-- Returns {"answer": the batch's} when it has committed, {"answer": null} when it never will; NULL when the
-- receipt is gone, and nobody knows.
CREATE OR REPLACE FUNCTION resolve_receipt(p_receipt bigint, p_number bigint, p_session text) RETURNS json
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  found json;
BEGIN
  PERFORM pg_terminate_backend(a.pid) FROM pg_stat_activity a
    WHERE a.application_name = p_session AND a.usename = current_user AND a.pid <> pg_backend_pid();
  UPDATE batch_receipts SET fence = greatest(fence, p_number)
   WHERE id = p_receipt
  RETURNING json_build_object('answer', CASE WHEN number = p_number THEN reply END) INTO found;
  RETURN found;
END $$;
