-- The segments of a source as cards, and where prospects like them are
SET datestyle = ISO;
SET client_min_messages = warning;
SET jit = off;
\set SHOW_CONTEXT never
CREATE SCHEMA card;
SET search_path = card;
-- two kinds of people: a third are married, 40 to 54, with twice the income, without children, and buy often; heads is a coin
CREATE TABLE client AS
	SELECT i AS id, i % 3 = 0 AS rich, CASE WHEN i % 3 = 0 THEN 40 + i * 7 % 15 ELSE 20 + i * 7 % 20 + i % 2 * 40 END AS age,
		CASE WHEN i % 3 = 0 THEN 60000 + i * 11 % 3000 ELSE 25000 + i * 13 % 7000 END AS income,
		CASE WHEN i % 3 = 0 OR i % 10 = 1 THEN 'married' ELSE 'single' END AS marital_status, CASE WHEN i % 3 = 0 THEN 0 ELSE 1 + i % 4 END AS children,
		i % 3 = 0 AS buys_wine, get_bit(sha256(i::text::bytea), 3) = 1 AS heads, CASE WHEN i % 3 = 0 THEN ARRAY['golf', 'music'] ELSE ARRAY['music'] END AS hobbies, date '1990-01-01' + ('x' || left(md5(i::text), 2))::bit(8)::int AS since
	FROM generate_series(1, 900) i;
ALTER TABLE client ADD PRIMARY KEY (id);
CREATE TABLE lead AS SELECT 10000 + id AS lead_no, age::bigint AS age, income::float8 AS income, marital_status::varchar AS marital_status, children::smallint AS children, buys_wine, heads, hobbies::varchar[] AS hobbies, since::timestamp AS since
	FROM client WHERE id <= 300;
ALTER TABLE lead ADD PRIMARY KEY (lead_no);
CREATE TABLE sale AS SELECT id AS client_id, date '2024-12-30' - CASE WHEN rich THEN k * 20 + id % 10 ELSE 200 + k * 30 + id % 50 END AS day, CASE WHEN rich THEN 100 ELSE 10 END::numeric AS amount
	FROM client, generate_series(1, CASE WHEN rich THEN 6 ELSE 2 END) k;
INSERT INTO client (id, age) VALUES (1001, 30), (1002, 31);
SELECT count(*) > 0 AS made FROM crm_profile.create_source('shop', 'client', 'sale', order_customer => 'client_id', as_of => '2024-12-31', prospects => 'lead', period => '10 years',
	attributes => '{age,income,marital_status,children,buys_wine,heads,hobbies,since}');
-- before the first refresh nobody has bought: the example is told by the first attributes
SELECT c.segment, c.customers, c.card, c.example_card, age, income, marital_status, children FROM crm_profile.segment_card('shop') c JOIN client ON id::text = c.example;
SELECT crm_profile.refresh('shop') IS NOT NULL AS refreshed;
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
CREATE TABLE person AS SELECT c.*, coalesce(p.segment, '(unscored)') AS segment, p.value_tier, p.recency, p.frequency, p.monetary FROM client c JOIN shop.customer_profile p ON p.customer = c.id;
CREATE TABLE told AS SELECT * FROM crm_profile.segment_card('shop');
-- a card for each segment, in the order of the scheme, with nothing of two people
SELECT segment, customers = (SELECT count(*) FROM person p WHERE p.segment = t.segment) AS counted FROM told t;
SELECT card, example FROM told WHERE segment = '(unscored)';
-- the best segment: the planted traits are named, and the coin is not
SELECT DISTINCT regexp_replace(card, '; last.*', '') AS card FROM told WHERE segment IN (SELECT segment FROM person GROUP BY 1 HAVING bool_and(rich) AND count(*) > 50);
SELECT count(*) FROM told WHERE card ~ 'heads|since';
-- the figures are those of plain SQL
SELECT count(*) > 2 AS some, bool_and(substring(card FROM '(\d+) % of customers')::int = round(100 * n / 902.0)) AS customers, bool_and(substring(card FROM '(\d+) % of revenue')::int = round(100 * money / (SELECT sum(monetary) FROM person))) AS revenue,
	bool_and(substring(card FROM 'last order (\d+)')::int = round(median::numeric)) AS recency,
	bool_and(coalesce(substring(card FROM '([\d.]+) × as many')::numeric = round(orders * 902 / n / (SELECT sum(frequency) FROM person), 1), true)) AS orders,
	bool_and(coalesce(substring(card FROM 'income ([\d.]+) × the average')::numeric = round(income / (SELECT avg(income) FROM person), 1), true)) AS income
FROM told JOIN (SELECT segment, count(*) AS n, sum(monetary) AS money, sum(frequency) AS orders, avg(income) AS income, percentile_cont(0.5) WITHIN GROUP (ORDER BY recency) AS median FROM person GROUP BY 1) p USING (segment) WHERE customers >= 5;
-- the example is a member of the segment, and no outlier: in age and income at least a tenth lie further from the medians
SELECT count(*) > 2 AS some, bool_and(p.segment = t.segment) AS of_it, bool_and((SELECT count(*) FROM person o WHERE o.segment = t.segment AND abs(o.income - m.income) + 500 * abs(o.age - m.age) >= abs(p.income - m.income) + 500 * abs(p.age - m.age)) >= m.n * 0.1) AS near
FROM told t JOIN person p ON p.id::text = t.example, LATERAL (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY o.income) AS income, percentile_cont(0.5) WITHIN GROUP (ORDER BY o.age) AS age, count(*) AS n FROM person o WHERE o.segment = t.segment) m;
SELECT bool_and(example_card ~ format('orders: %s,', frequency)) AS his_own FROM told JOIN person ON id::text = example;
-- the same for customers in any order
CREATE TABLE other AS SELECT * FROM client ORDER BY md5(id::text);
ALTER TABLE other ADD PRIMARY KEY (id);
SELECT crm_profile.alter_source('shop', customers => 'other');
SELECT crm_profile.refresh('shop') IS NOT NULL AS refreshed;
SELECT count(*) AS differences FROM told FULL JOIN crm_profile.segment_card('shop') s USING (segment) WHERE told IS DISTINCT FROM s;
SELECT crm_profile.alter_source('shop', customers => 'client');
-- other languages: every text exists in each, and the user's own words count
SELECT key FROM crm_profile.translation WHERE built_in AND key LIKE 'card.%' GROUP BY key HAVING count(*) <> (SELECT count(DISTINCT language) FROM crm_profile.translation WHERE built_in) OR count(DISTINCT (SELECT count(*) FROM regexp_matches(text, '%\d\$s', 'g'))) > 1;
SELECT bool_and((g.card ~ ' % der Kunden, .* % des Umsatzes$') = (t.customers >= 5)) AS german FROM told t JOIN crm_profile.segment_card('shop', 'de') g USING (segment);
BEGIN;
INSERT INTO crm_profile.translation VALUES ('card.share', 'nl', '%1$s van de klanten'), ('card.shares', 'nl', '%1$s van de klanten, %2$s van de omzet');
SELECT count(*) AS dutch FROM crm_profile.segment_card('shop', 'nl') WHERE card ~ 'van de omzet$';
ROLLBACK;
SELECT crm_profile.segment_card('shop', 'xx');
SELECT crm_profile.segment_card('card');
SELECT crm_profile_internal.number_in_words(n, 'en'), crm_profile_internal.number_in_words(n, 'de') FROM unnest('{0,7,0.123456,1.5,12.345,999.6,1987,10000,123456,1234567,-45678}'::numeric[]) n;
SELECT * FROM crm_profile_internal.card_ranges('{below 3,5 and more,3 to below 5}', '{10,10,10}', 'number');
SELECT * FROM crm_profile_internal.card_ranges('{below 3,12 and more,5 to below 12}', '{10,10,5}', 'number');
SELECT * FROM crm_profile_internal.card_ranges('{2020-01-05 to below 2020-02-01,2019-01-01 to below 2020-01-05}', '{1,2}', 'date');
-- whole numbers: ranges end with the last one, in the views, too, where both tables have whole numbers
SELECT value, crm_profile_internal.whole_range(value, NULL), crm_profile_internal.whole_range(value, 0) AS from_0 FROM unnest('{below 1,0 to below 1,3 to below 5,5 and more,1e+06 to below 2e+06,-4 to below -1}'::text[]) value;
SELECT low, high FROM crm_profile_internal.card_ranges('{up to 2,5 and more,3 to 4}', '{10,10,10}', 'number');
SELECT low, high FROM crm_profile_internal.card_ranges('{0,1 to 2,-5 to -3}', '{10,10,1}', 'number');
-- an open end before its unit; a small part is not nothing
SELECT language, crm_profile_internal.card_range('age', '45', NULL, 'number', true, 18, 50, 1, language) AS age, crm_profile_internal.card_range('kids', '2', NULL, 'number', true, 0, 1, 1, language) AS kids FROM unnest('{de,en,es,fr,it}'::text[]) language;
SELECT crm_profile_internal.card_behaviour(ARRAY[100, 100, 40, 9], ARRAY[1000, 20000, 10000, 9], language) FROM unnest('{de,en}'::text[]) language;
SELECT crm_profile_internal.card_behaviour(ARRAY[100, 100, 0, 9], ARRAY[1000, 1000, 10000, 9], 'en'), crm_profile_internal.card_range('income', NULL, '50', 'number', true, 0, 900, 0.04, 'en');
SELECT count(*) > 0 AS some, count(*) FILTER (WHERE value ~ 'below') AS below FROM shop.segment_persona WHERE attribute IN ('age', 'income', 'children');
SELECT count(*) FILTER (WHERE value ~ 'below') AS below, count(*) FILTER (WHERE attribute = 'children' AND value = '0') > 0 AS none FROM shop.where_to_find WHERE attribute IN ('age', 'children');

-- ---------------------------------------------------------------- where to find them
CREATE TABLE place AS SELECT * FROM shop.where_to_find;
SELECT kind, count(DISTINCT name) > 1 AS several, count(*) > 5 AS many, count(*) FILTER (WHERE attribute IN ('heads', 'since')) AS coins FROM place GROUP BY kind ORDER BY kind;
SELECT name, bool_or(attribute = 'buys_wine' AND value = 'true') AS wine, bool_or(attribute = 'hobbies' AND value = 'golf') AS golf FROM place WHERE kind = 'tier' GROUP BY 1 ORDER BY 1;
-- by plain SQL; ranges are fifths of customers and prospects together
CREATE FUNCTION has(attribute text, value text, age numeric, income numeric, marital_status text, children int, buys_wine boolean, hobbies text[]) RETURNS boolean LANGUAGE sql RETURN CASE attribute
	WHEN 'marital_status' THEN marital_status = value WHEN 'buys_wine' THEN buys_wine::text = value WHEN 'hobbies' THEN value = ANY (hobbies)
	ELSE (SELECT CASE WHEN value ~ '^up to' THEN n <= substr(value, 7)::numeric WHEN value ~ '^[0-9]+$' THEN n = value::numeric WHEN value ~ '^[0-9]+ to [0-9]+$' THEN n BETWEEN split_part(value, ' ', 1)::numeric AND split_part(value, ' ', 3)::numeric
			ELSE n >= coalesce(substring(value FROM '^[0-9.]+')::numeric, 0) AND n < coalesce(substring(value FROM 'below ([0-9.]+)')::numeric, 'Infinity') END
		FROM (SELECT CASE attribute WHEN 'age' THEN age WHEN 'income' THEN income ELSE children END AS n) v) END;
SELECT count(*) > 20 AS many, bool_and(prospects_there = l.n) AS there, bool_and(abs(share_of_prospects - l.n / 300.0) < 1e-9) AS of_prospects, bool_and(abs(share_of_kind - c.n / c.m::float8) < 1e-9) AS of_kind,
	bool_and(abs(concentration - c.n::float8 * c.o / c.m / c.a) < 1e-9) AS concentration, bool_and(abs(look_alikes - l.n::float8 * c.n / c.a) < 1e-9) AS look_alikes
FROM place w, LATERAL (SELECT count(*) FILTER (WHERE has(attribute, value, age::numeric, income::numeric, marital_status, children, buys_wine, hobbies)) AS n FROM lead) l,
	LATERAL (SELECT count(h) AS o, count(*) FILTER (WHERE h) AS a, count(h) FILTER (WHERE g) AS m, count(*) FILTER (WHERE h AND g) AS n
		FROM (SELECT has(attribute, value, age, income, marital_status, children, buys_wine, hobbies) AS h, CASE kind WHEN 'tier' THEN value_tier ELSE segment END = name AS g FROM person) x) c;

-- ---------------------------------------------------------------- with the rights of whoever reads
CREATE ROLE card_reader;
GRANT USAGE ON SCHEMA shop, card TO card_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO card_reader;
SET ROLE card_reader;
SELECT crm_profile.segment_card('shop');
RESET ROLE;
GRANT SELECT (id, age, income, marital_status, children, buys_wine, heads, hobbies, since) ON client TO card_reader;
ALTER TABLE client ENABLE ROW LEVEL SECURITY;
CREATE POLICY even ON client TO card_reader USING (id % 2 = 0);
SET ROLE card_reader;
SELECT sum(customers) AS half, bool_and(example::int % 2 = 0) AS theirs FROM crm_profile.segment_card('shop');
RESET ROLE;
ALTER TABLE client DISABLE ROW LEVEL SECURITY;
-- without attributes the card says how they buy; the same if materialized
SELECT crm_profile.alter_source('shop', materialize => true);
SELECT crm_profile.refresh('shop') IS NOT NULL AS refreshed;
SELECT count(*) AS differences FROM told FULL JOIN crm_profile.segment_card('shop') s USING (segment) WHERE told IS DISTINCT FROM s;
SELECT count(*) AS differences FROM (TABLE place EXCEPT SELECT * FROM shop.where_to_find) d;
SELECT crm_profile.alter_source('shop', materialize => false, reset => '{prospects,attributes}');
SELECT to_regclass('shop.where_to_find') IS NULL AS gone;
SELECT bool_and(card ~ '^last order') AS behaviour FROM crm_profile.segment_card('shop') WHERE customers >= 5 AND segment <> '(unscored)';
-- numbers beyond those of double precision, and none at all
ALTER TABLE client ADD fortune numeric, ADD rate float8;
UPDATE client SET fortune = CASE WHEN id % 100 = 0 THEN 1e400 WHEN id % 100 = 1 THEN 'NaN' ELSE income END, rate = CASE WHEN id % 50 = 3 THEN 'Infinity'::float8 ELSE age END;
SELECT crm_profile.alter_source('shop', attributes => '{fortune,rate,age}');
SELECT crm_profile.refresh('shop') IS NOT NULL AS refreshed;
SELECT count(*) AS differences FROM told FULL JOIN crm_profile.segment_card('shop') s USING (segment) WHERE told.customers IS DISTINCT FROM s.customers OR s.customers >= 5 AND s.card !~ 'last order';
SELECT bool_and(coalesce(substring(c.card FROM 'fortune ([\d.]+) × the average')::numeric = round(p.mean / (SELECT avg(fortune) FROM client WHERE fortune < 1e300), 1), true)) AS without_them, count(*) FILTER (WHERE c.card ~ 'fortune') > 0 AS told
FROM crm_profile.segment_card('shop') c JOIN (SELECT segment, avg(fortune) FILTER (WHERE fortune < 1e300) AS mean FROM person JOIN client USING (id) GROUP BY 1) p USING (segment);
SELECT count(*) > 0 AS groups FROM crm_profile.customer_groups('shop', 2);
SELECT count(*) AS three FROM crm_profile.nearest_customers('shop', 100, 3);
SELECT count(*) AS numbers FROM crm_profile.segment_variance('shop');
DROP OWNED BY card_reader;
DROP ROLE card_reader;
SELECT crm_profile.drop_source('shop');
SET client_min_messages = warning;
DROP SCHEMA card CASCADE;
