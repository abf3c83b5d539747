-- What became of each write that carried an Idempotency-Key, stored by the transaction of the write.

CREATE TABLE idempotency_keys (
  -- The user whose key it is; for a creation, whose user is not known yet, see creation_scope().
  user_id     bigint NOT NULL,
  -- Compared byte by byte, which is exact, and quicker than by any language's rules.
  key         text COLLATE "C" NOT NULL,
  -- Tells the same request from another one that reuses the key.
  fingerprint text NOT NULL,
  kind        text NOT NULL,
  -- NULL: applied. Otherwise the code of the refusal, which stays refused under this key.
  refusal     text,
  amount      bigint,
  balance     bigint,
  version     bigint,
  -- The transfer or hold; for a creation, the user's id.
  operation_id    uuid,
  created_user_id bigint,
  -- Which leg of an all-or-none batch of transfers was refused, from 1.
  refused_leg     integer,
  created_at  timestamptz NOT NULL,
  PRIMARY KEY (user_id, key),
  CONSTRAINT idempotency_keys_key_length CHECK (octet_length(key) BETWEEN 1 AND 255)
);

-- from functions/creation_scope.sql
-- The scope of a creation's key, from -2^31 to -1: by its hash, so that creations share no hot page.
CREATE OR REPLACE FUNCTION creation_scope(p_key text) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT -1 - ('x' || encode(substr(sha256(convert_to(p_key, 'UTF8')), 1, 4), 'hex'))::bit(32)::bigint % 2147483648
$$;

-- Finds the keys that are past their time.
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);
