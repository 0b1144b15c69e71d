\ir common.sql
CREATE EXTENSION crm_profile;
SET search_path = public, crm_profile;
CREATE FUNCTION pg_temp.chance(what text) RETURNS float8 IMMUTABLE LANGUAGE sql
	RETURN ('x' || substr(md5(what), 1, 7))::bit(28)::int / 268435456.0;
-- six rounds of a test, in which teachers and the young gain and nurses lose
CREATE TABLE test AS
	SELECT id AS customer, treated, pg_temp.chance(id || ' bought ' || round) < 0.2 + CASE WHEN treated THEN 0.1 + CASE job WHEN 'teacher' THEN 0.25 WHEN 'nurse' THEN -0.25 ELSE 0 END + (50 - age) * 0.004 ELSE 0 END AS bought
	FROM customers, generate_series(1, 6) round, LATERAL (SELECT pg_temp.chance(id || ' treated ' || round) < 0.5 AS treated) t;
