-- A balance is what the user's last entry says, whoever writes it. One statement-level trigger
-- looks at all changed rows together; a row's last entry is the one with its version and none after.
-- Its search_path is that of the migration (see begin() of the migrator), as of each function that
-- names a table: pg_dump restores with none at all, and a caller's may lead to another table.
CREATE OR REPLACE FUNCTION refuse_balance_without_entry() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  bad_id bigint;
BEGIN
  -- One probe of the primary key a row, from its version on, however large the journal and whatever
  -- the plan was made for. A plain join or an EXISTS may be planned as a scan of all entries.
  SELECT c.id INTO bad_id
    FROM changed c
    LEFT JOIN LATERAL (
      SELECT * FROM entries WHERE user_id = c.id AND entries.version >= c.version
       ORDER BY entries.version DESC LIMIT 1) last ON true
   WHERE c.version <> coalesce(last.version, 0) OR c.balance <> coalesce(last.balance, 0)
   LIMIT 1;
  IF bad_id IS NOT NULL THEN
    RAISE EXCEPTION 'the balance of user % does not match the last entry of its journal', bad_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'users_balance_has_entry', TABLE = 'users',
            HINT = 'Change balances with balancectl adjust or the API; they write the entry too.';
  END IF;
  RETURN NULL;
END $$;
