-- For a new connection of a write lane: two receipts, because two batches fly at once, and a name for its
-- session that no other has, by which resolve_receipt() finds it. Those that nobody has used for a day are
-- removed; if their connection lives after all, its next batch fails and it opens others.
CREATE OR REPLACE FUNCTION open_receipts(OUT ids bigint[], OUT session text)
LANGUAGE plpgsql SECURITY DEFINER
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
