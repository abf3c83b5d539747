-- JSON as the program's fingerprints have it: no blanks, fields in the order of their names.
CREATE OR REPLACE FUNCTION canonical_json(p_value jsonb) RETURNS text LANGUAGE plpgsql IMMUTABLE
SET search_path FROM CURRENT
AS $$
BEGIN
  RETURN CASE jsonb_typeof(p_value)
    WHEN 'object' THEN
      (SELECT '{' || coalesce(string_agg(to_json(f.key)::text || ':' || canonical_json(f.value), ','
                                         ORDER BY f.key COLLATE "C"), '') || '}'
         FROM jsonb_each(p_value) f)
    WHEN 'array' THEN
      (SELECT '[' || coalesce(string_agg(canonical_json(e.value), ',' ORDER BY e.at), '') || ']'
         FROM jsonb_array_elements(p_value) WITH ORDINALITY AS e (value, at))
    ELSE p_value::text END;
END $$;
