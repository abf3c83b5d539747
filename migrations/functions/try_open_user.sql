-- Opens a user under an id, or under the next that is free, or says why not. Two that are opened under one key are one.
CREATE OR REPLACE FUNCTION try_open_user(
  user_id bigint DEFAULT NULL, balance bigint DEFAULT 0, idempotency_key text DEFAULT NULL,
  reference text DEFAULT NULL, metadata jsonb DEFAULT NULL
) RETURNS verdict
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
  chosen bigint;
  answer verdict;
BEGIN
  LOOP
    chosen := coalesce(try_open_user.user_id, next_user_id());
    answer := ask_ledger('opening', chosen, try_open_user.balance, try_open_user.balance, NULL, NULL, NULL,
                         ARRAY[try_open_user.balance::text, try_open_user.user_id::text],
                         idempotency_key, reference, metadata, NULL, NULL);
    EXIT WHEN try_open_user.user_id IS NOT NULL OR answer.refusal IS DISTINCT FROM 'USER_EXISTS';
    PERFORM skip_user_ids(chosen);
  END LOOP;
  RETURN answer;
END $$;
