-- What each connection of a write lane wrote last: whoever lost an answer finds it here.

CREATE TABLE batch_receipts (
  id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- Of the last batch that has committed, counted by its connection from 1.
  number   bigint NOT NULL DEFAULT 0,
  reply    json,
  -- No batch up to this one commits any more: see resolve_receipt().
  fence    bigint NOT NULL DEFAULT 0,
  used_at  timestamptz NOT NULL DEFAULT now()
-- Most of each page is left for the updates of its few rows, which so stay in it (HOT).
) WITH (fillfactor = 20);


-- from functions/open_receipts.sql
-- For a new connection of a write lane: two receipts, because two batches fly at once, and a name for its
-- session that no other has, by which resolve_receipt() finds it. Those that nobody has used for a day are
-- removed; if their connection lives after all, its next batch fails and it opens others.
CREATE OR REPLACE FUNCTION open_receipts(OUT ids bigint[], OUT session text)
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
  DELETE FROM batch_receipts r USING (
    SELECT o.id FROM batch_receipts o WHERE o.used_at < now() - interval '1 day'
       FOR UPDATE SKIP LOCKED) old
   WHERE r.id = old.id;
  WITH made AS (
    INSERT INTO batch_receipts DEFAULT VALUES RETURNING id
  ), made_too AS (
    INSERT INTO batch_receipts DEFAULT VALUES RETURNING id
  )
  SELECT ARRAY[made.id, made_too.id] INTO ids FROM made, made_too;
  session := coalesce(nullif(left(current_setting('application_name'), 40), ''), 'balancectl')
             || ' lane ' || ids[1];
  PERFORM set_config('application_name', session, false);
END $$;

-- from functions/write_receipt.sql
-- The last act of a batch: its answer is kept under its number by the transaction that made it, or the
-- transaction ends here, because somebody has given the batch up (see resolve_receipt()). Without an answer
-- nothing was changed, and nothing is kept.
CREATE OR REPLACE FUNCTION write_receipt(p_receipt bigint, p_number bigint, p_answer json) RETURNS json
LANGUAGE plpgsql STRICT
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

-- from functions/resolve_receipt.sql
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
