-- A user with a history stays, under the same id.
CREATE OR REPLACE FUNCTION refuse_user_removal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'users keep their id and their history: % is refused', TG_OP
    USING ERRCODE = 'restrict_violation', CONSTRAINT = 'users_keep_history', TABLE = 'users';
END $$;
