-- Of a request, the same that the program makes (src/ledger/request.ts), so that a key may be repeated through another
-- door. The parts are JSON texts; NULL is a part that was left out.
CREATE OR REPLACE FUNCTION fingerprint_of(p_parts text[]) RETURNS text LANGUAGE plpgsql IMMUTABLE
SET search_path FROM CURRENT
AS $$
DECLARE
  given integer := cardinality(p_parts);
  request text;
BEGIN
  WHILE p_parts[given] IS NULL LOOP given := given - 1; END LOOP;
  request := '[' || array_to_string(p_parts[1:given], ',', 'null') || ']';
  IF length(request) <= 64 THEN RETURN '1:' || request; END IF;
  RETURN '1:' || rtrim(translate(encode(sha256(convert_to(request, 'UTF8')), 'base64'), '+/', '-_'), '=');
END $$;
