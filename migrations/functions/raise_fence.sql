-- Waits for a batch that is committing, and one that comes later finds the fence and fails. So what is not there
-- now never will be. Good once this statement has committed, where a synchronous standby has it as well.
-- Returns {"answer": the batch's} when it has committed, {"answer": null} when it never will; NULL when the
-- receipt is gone, and nobody knows.
CREATE OR REPLACE FUNCTION raise_fence(p_receipt bigint, p_number bigint) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
  found json;
BEGIN
  UPDATE batch_receipts SET fence = greatest(fence, p_number)
   WHERE id = p_receipt
  RETURNING json_build_object('answer', CASE WHEN number = p_number THEN reply END) INTO found;
  RETURN found;
END $$;
