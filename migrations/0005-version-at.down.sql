DROP FUNCTION version_at;
