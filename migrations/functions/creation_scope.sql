-- The scope of a creation's key, from -2^31 to -1: by its hash, so that creations share no hot page. Each client's
-- (see actor_of) is its own; NULL is whoever is none.
CREATE OR REPLACE FUNCTION creation_scope(p_key text, p_client integer) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT -1 - ('x' || encode(substr(sha256(convert_to(coalesce(p_client || '/', '') || p_key, 'UTF8')), 1, 4),
                             'hex'))::bit(32)::bigint % 2147483648
$$;
