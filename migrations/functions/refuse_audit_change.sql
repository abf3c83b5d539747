-- What administrators did stays as it was written.
CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit is append-only: % is refused', TG_OP
    USING ERRCODE = 'restrict_violation', CONSTRAINT = 'audit_append_only', TABLE = 'audit';
END $$;
