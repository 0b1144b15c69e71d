-- attribute_options of a source: special codes, breaks and asymmetric attributes
SET client_min_messages = warning;
SET jit = off;
\set SHOW_CONTEXT never
CREATE SCHEMA club;
SET search_path = club;
CREATE FUNCTION coin(i int, k int) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN ('x' || left(md5(i::text || ' ' || k::text), 7))::bit(28)::int / 268435456.0;
CREATE TABLE member (id int PRIMARY KEY, income int, age int, has_boat boolean, town text);
INSERT INTO member SELECT i, CASE WHEN coin(i, 1) < 0.2 THEN -999 ELSE 1000 + floor(coin(i, 2) * 4000) END, 18 + floor(coin(i, 3) * 60), coin(i, 4) < 0.1, chr(97 + (coin(i, 5) * 3)::int) FROM generate_series(1, 1200) i;
CREATE TABLE fee (member_id int REFERENCES member, paid_on date, amount numeric(10,2));
INSERT INTO fee SELECT id, date '2025-01-01' + id % 300, 50 + 100 * (coin(id, 6) < 0.15 + CASE income WHEN -999 THEN 0.4 ELSE 0 END + CASE WHEN age < 30 THEN 0.15 ELSE 0 END)::int FROM member;
CREATE TABLE lead (lead_no int PRIMARY KEY, income int, age int, has_boat boolean, town text);
INSERT INTO lead SELECT i, CASE WHEN i % 5 = 0 THEN -999 ELSE i END, 18 + i % 50, i % 3 = 0, chr(97 + i % 4) FROM generate_series(2001, 2200) i;
SELECT count(*) FROM crm_profile.create_source('club_source', 'member', 'fee', attributes => '{income,age,has_boat,town}', prospects => 'lead', best => 'monetary > 100', as_of => '2025-12-31',
	attribute_options => '{"special": {"income": [-999]}, "breaks": {"age": [30, 45]}, "asymmetric": ["has_boat"]}');
SELECT count(*) FROM crm_profile.refresh('club_source');
-- scores are those of the plain functions with these options
CREATE VIEW plain AS WITH z AS MATERIALIZED (SELECT pm, (SELECT crm_profile.match_fit(crm_profile.profile(r, pm), b, pm, '{"special": {"income": [-999]}, "breaks": {"age": [30, 45]}}') FROM (SELECT m.id, (SELECT sum(amount) > 100 FROM fee WHERE member_id = m.id) AS b FROM member m) x JOIN member m USING (id), LATERAL (SELECT m.income, m.age, m.has_boat, m.town) r) AS mm
		FROM (SELECT crm_profile.profile_fit(r, '{"range_count": 5, "kinds": {"town": "nominal"}, "asymmetric": ["has_boat"]}') AS pm FROM (SELECT income, age, has_boat, town FROM member) r) y)
	SELECT lead_no, crm_profile.match_score(crm_profile.profile(l, pm), mm) AS score FROM z, (SELECT lead_no, income, age, has_boat, town FROM lead) q, LATERAL (SELECT q.income, q.age, q.has_boat, q.town) l;
SELECT count(*), max(abs(p.score - v.score)) < 1e-12 AS as_plain FROM plain p JOIN club_source.prospect_match v ON v.prospect = p.lead_no;
SELECT c.bin FROM club_source.model m, crm_profile.match_card(m.match) c WHERE c.attribute IN ('income', 'age') AND c.bin ~ '^(-999|up to 29|30 to 44|45 and more)$' ORDER BY 1;
SELECT e.attribute FROM club_source.model m, jsonb_array_elements(m.profile::text::jsonb -> 'attributes') a, LATERAL (SELECT a ->> 'name' AS attribute) e WHERE a ? 'joint_absence';
-- others need another refresh; none are the bins that are found
SELECT crm_profile.alter_source('club_source', attribute_options => '{"breaks": {"age": [30]}}');
SELECT warning FROM crm_profile.sources_details WHERE name = 'club_source';
SELECT count(*) FROM crm_profile.refresh('club_source');
SELECT c.bin FROM club_source.model m, crm_profile.match_card(m.match) c WHERE c.attribute = 'age' AND m.id = (SELECT max(id) FROM club_source.model);
SELECT crm_profile.alter_source('club_source', reset => '{attribute_options}');
SELECT count(*) FROM crm_profile.refresh('club_source');
SELECT count(*) FROM club_source.model m, crm_profile.match_card(m.match) c WHERE c.bin ~ '-999|up to 29$' AND m.id = (SELECT max(id) FROM club_source.model);
-- checked on the spot
SELECT crm_profile.alter_source('club_source', attribute_options => 'no json');
SELECT crm_profile.alter_source('club_source', attribute_options => '[]');
SELECT crm_profile.alter_source('club_source', attribute_options => '{"specials": {}}');
SELECT crm_profile.alter_source('club_source', attribute_options => '{"special": {"wage": [-1]}}');
SELECT crm_profile.alter_source('club_source', attribute_options => '{"breaks": {"age": [50, 40]}}');
SELECT crm_profile.alter_source('club_source', attribute_options => '{"asymmetric": ["age"]}');
SELECT crm_profile.drop_source('club_source');
SET client_min_messages = error;
DROP SCHEMA club CASCADE;
