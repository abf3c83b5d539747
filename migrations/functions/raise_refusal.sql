-- A refusal as an error of its own, so that the transaction of who asked is rolled back; a verdict that is none as it is.
-- SQLSTATEs of the class BC, and the code in small letters as the name of a constraint.
CREATE OR REPLACE FUNCTION raise_refusal(p_verdict verdict, p_user bigint) RETURNS verdict
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
  IF p_verdict.refusal IS NULL THEN RETURN p_verdict; END IF;
  RAISE EXCEPTION '%', CASE p_verdict.refusal
      WHEN 'INSUFFICIENT_FUNDS' THEN 'Insufficient funds for this operation'
      WHEN 'USER_NOT_FOUND' THEN 'User ' || p_user || ' not found'
      WHEN 'RECIPIENT_NOT_FOUND' THEN 'The user who is to receive is not found'
      WHEN 'USER_EXISTS' THEN 'User ' || p_user || ' exists already'
      WHEN 'BALANCE_LIMIT_EXCEEDED' THEN 'The balance would exceed 9007199254740991'
      WHEN 'PRECONDITION_FAILED' THEN 'The user has changed since: the version is not if_version'
      WHEN 'HOLD_NOT_FOUND' THEN 'Hold not found'
      WHEN 'HOLD_CLOSED' THEN 'The hold is closed'
      WHEN 'CAPTURE_EXCEEDS_HOLD' THEN 'The capture is larger than the hold'
      WHEN 'HOLD_LIMIT_EXCEEDED' THEN 'The user has 10000 open holds, and may have no more'
      WHEN 'IDEMPOTENCY_KEY_REUSED' THEN 'This idempotency_key was used before with a different request' END
    USING ERRCODE = CASE p_verdict.refusal
            WHEN 'INSUFFICIENT_FUNDS' THEN 'BC101' WHEN 'USER_NOT_FOUND' THEN 'BC102'
            WHEN 'RECIPIENT_NOT_FOUND' THEN 'BC103' WHEN 'USER_EXISTS' THEN 'BC104'
            WHEN 'BALANCE_LIMIT_EXCEEDED' THEN 'BC105' WHEN 'PRECONDITION_FAILED' THEN 'BC106'
            WHEN 'HOLD_NOT_FOUND' THEN 'BC107' WHEN 'HOLD_CLOSED' THEN 'BC108'
            WHEN 'CAPTURE_EXCEEDS_HOLD' THEN 'BC109' WHEN 'HOLD_LIMIT_EXCEEDED' THEN 'BC110'
            WHEN 'IDEMPOTENCY_KEY_REUSED' THEN 'BC111' ELSE 'BC100' END,
          CONSTRAINT = lower(p_verdict.refusal), TABLE = 'users',
          DETAIL = format('user %s, balance %s, version %s', p_user, coalesce(p_verdict.balance::text, 'none'),
                          coalesce(p_verdict.version::text, 'none')),
          HINT = 'The transaction is rolled back; the try_ form returns the refusal instead.';
END $$;
