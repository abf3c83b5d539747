-- The journal only grows.
CREATE OR REPLACE FUNCTION refuse_entry_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'entries are append-only: % is refused', TG_OP
    USING ERRCODE = 'restrict_violation', CONSTRAINT = 'entries_append_only', TABLE = 'entries',
          HINT = 'Correct a balance with a further entry, for example: balancectl adjust.';
END $$;
