-- The scope of a creation's key, from -2^31 to -1: by its hash, so that creations share no hot page.
CREATE OR REPLACE FUNCTION creation_scope(p_key text) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT -1 - ('x' || encode(substr(sha256(convert_to(p_key, 'UTF8')), 1, 4), 'hex'))::bit(32)::bigint % 2147483648
$$;
