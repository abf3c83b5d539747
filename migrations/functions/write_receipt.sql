-- The last act of a batch: its answer is kept under its number by the transaction that made it, or the
-- transaction ends here, because somebody has given the batch up (see resolve_receipt()). Without an answer
-- nothing was changed, and nothing is kept.
CREATE OR REPLACE FUNCTION write_receipt(p_receipt bigint, p_number bigint, p_answer json) RETURNS json
LANGUAGE plpgsql STRICT SECURITY DEFINER
SET enable_seqscan = off
SET search_path FROM CURRENT
AS $$
BEGIN
  UPDATE batch_receipts SET number = p_number, reply = p_answer, used_at = now()
   WHERE id = p_receipt AND fence < p_number;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'batch % of receipt % was given up', p_number, p_receipt
      USING ERRCODE = 'BC001', HINT = 'Nothing was changed; it may run again under another number.';
  END IF;
  RETURN p_answer;
END $$;
