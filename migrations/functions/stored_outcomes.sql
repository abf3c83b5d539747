-- What is stored under the keys of a batch: which operations, by index, and the row of each; both NULL
-- where nothing is. See apply_operations for the parameters.
CREATE OR REPLACE FUNCTION stored_outcomes(
  p_users bigint[], p_slots integer[], p_kinds text[], p_keys text[], p_clients integer[],
  OUT operations integer[], OUT outcomes idempotency_keys[]
)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
BEGIN
  -- A probe a key, whatever the statistics say.
  SELECT array_agg(x), array_agg(k.found) INTO operations, outcomes
    FROM generate_series(1, cardinality(p_slots)) AS x
   CROSS JOIN LATERAL (
     SELECT i AS found FROM idempotency_keys i
      WHERE i.user_id = CASE WHEN p_kinds[x] = 'opening' THEN creation_scope(p_keys[x], p_clients[x])
                             ELSE p_users[p_slots[x]] END
        AND i.key = p_keys[x]
     OFFSET 0) k;
END $$;
