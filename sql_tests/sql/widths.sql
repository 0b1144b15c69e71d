-- Functions that people call by hand fit into a terminal of 80 columns, and say in words what programs get in full
SET datestyle = ISO;
SET client_min_messages = error;
CREATE SCHEMA trade;
SET search_path = trade;
CREATE TABLE customers (customer_id int PRIMARY KEY, region text, email text);
INSERT INTO customers SELECT i, 'r' || i % 3, 'p' || i % 90 || '@example.org' FROM generate_series(1, 120) i;
CREATE TABLE prospects (prospect_id int PRIMARY KEY, region text);
INSERT INTO prospects SELECT i, 'r' || i % 3 FROM generate_series(1, 20) i;
CREATE TABLE orders (order_id int PRIMARY KEY, customer_id int REFERENCES customers, ordered_on date, ship_to text);
CREATE TABLE order_lines (order_id int REFERENCES orders, line_no int, quantity int, unit_price numeric, PRIMARY KEY (order_id, line_no));
INSERT INTO orders SELECT i, 1 + i * 7 % 110, date '2024-01-01' + i * 13 % 400 FROM generate_series(1, 600) i;
INSERT INTO order_lines SELECT o, l, 1 + o % 3, l * 2.5 + o % 11 FROM generate_series(1, 600) o, generate_series(1, 2) l;
ANALYZE;

-- width(QUERY): of the table that psql shows for it, from the longest line of each column
CREATE FUNCTION width(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	wide bigint;
BEGIN
	EXECUTE format('SELECT sum(w.longest + 3) - 1 FROM (SELECT v.key, max(greatest(length(v.key), length(l.line))) AS longest
		FROM (%s) q, json_each_text(row_to_json(q)) v LEFT JOIN LATERAL regexp_split_to_table(v.value, E''\n'') l(line) ON true GROUP BY v.key) w', query) INTO wide;
	RETURN wide;
END $$;
-- it is: the rule below this title is as long
SELECT 'one' AS a, E'two\nlines' AS bcd;
SELECT width($$SELECT 'one' AS a, E'two\nlines' AS bcd$$);

SELECT reason, call FROM crm_profile.suggest_sources();
SELECT call AS create_suggested FROM crm_profile.suggest_sources() \gset
:create_suggested ;
SELECT crm_profile.alter_source('customers_orders', as_of => '2025-03-01', attributes => '{region}', prospects => 'prospects');
-- what makes scores of prospects worthless is reported by the refresh that finds it first, and kept where people look
SET client_min_messages = warning;
SELECT orders, customers FROM crm_profile.refresh('customers_orders');
\echo again
SELECT orders, customers FROM crm_profile.refresh('customers_orders');
SET client_min_messages = error;
SELECT finding, severity, advice FROM customers_orders.data_quality WHERE finding ~ 'best';
SELECT name, owner = current_user AS owner, refreshed::timestamptz > now() - interval '1 day' AS refreshed, warning FROM crm_profile.sources;
SELECT * FROM crm_profile.profile_now('customers_orders', 5);
SELECT * FROM crm_profile.check_source('customers_orders');
SELECT query FROM unnest(ARRAY['crm_profile.sources', 'crm_profile.suggest_sources()', 'crm_profile.check_source(''customers_orders'')', 'crm_profile.profile_now(''customers_orders'', 5)', 'crm_profile.refresh(''customers_orders'')',
		'crm_profile.refresh_all()', 'crm_profile.forget_customer(''customers_orders'', 6)', 'crm_profile.check_scheme(''standard'')', 'crm_profile.explain_source(''customers_orders'')', 'customers_orders.segment_summary', 'customers_orders.model_card']) f
	CROSS JOIN LATERAL (SELECT 'SELECT * FROM ' || f AS query) q
	WHERE width(query) > 80 OR width(query) IS NULL AND f NOT LIKE '%check_scheme%';
SELECT * FROM customers_orders.segment_summary WHERE customers > 0 LIMIT 2;
SELECT * FROM customers_orders.model_card WHERE item ~ '^(spend: m|scores)' LIMIT 4;
-- broken lines leave SQL what it was: literals, quoted names and comments stay whole
SELECT crm_profile_internal.wrapped_sql(E'SELECT  ''a  literal\nwith ''''blanks'''' of its own'' AS "a name  with -- blanks", 1 AS one\n\tFROM generate_series(1, 3) -- it''s a comment that is longer than others', 30);
SELECT crm_profile_internal.wrapped_sql(E'SELECT  ''a  literal\nwith ''''blanks'''' of its own'' AS "a name  with -- blanks", 1 AS one\n\tFROM generate_series(1, 3) -- it''s a comment that is longer than others', 30) AS wrapped \gset
:wrapped ;

-- the same in full
SELECT (to_jsonb(d) ->> f.figure) IS NOT DISTINCT FROM f.value OR (to_jsonb(d) ->> f.figure)::numeric - f.value::numeric BETWEEN -0.00005 AND 0.00005 AS same, count(*)
	FROM crm_profile.profile_now_details('customers_orders', 5) d, crm_profile.profile_now('customers_orders', 5) f GROUP BY 1;
SELECT count(*) FROM crm_profile.profile_now('customers_orders', 9999);
SELECT count(*) AS not_told FROM crm_profile.check_source_details('customers_orders') d
	WHERE NOT EXISTS (SELECT FROM crm_profile.check_source('customers_orders') f
		WHERE f.severity = d.severity AND f.rows IS NOT DISTINCT FROM d.rows AND f.customers IS NOT DISTINCT FROM d.customers AND f.changed IS NOT DISTINCT FROM d.customers_changed
			AND replace(f.finding, E'\n', ' ') LIKE d.finding || coalesce('%- ' || d.advice, '') || coalesce(' - ' || d.argument, '') || '%');
SELECT customers, orders, customer_rows, order_rows FROM crm_profile.suggest_sources_details();
SELECT count(*) AS not_told FROM customers_orders.segment_summary_details d LEFT JOIN customers_orders.segment_summary f USING (segment, customers, monetary)
	WHERE d.customers > 0 AND f.in_words NOT LIKE format('customers %s \%%, amount %s \%%%%', round(100 * d.customer_share::numeric), round(100 * d.monetary_share::numeric)) OR (f.in_words IS NULL) <> (d.customers = 0 AND d.monetary = 0) OR d.customers > 0 AND d.strategy IS NOT NULL AND strpos(replace(f.in_words, E'\n', ' '), d.strategy) = 0;
SELECT count(*) AS lines, count(*) FILTER (WHERE replace(f.item, E'\n', ' ') IS DISTINCT FROM d.section || ': ' || d.item OR replace(f.note, E'\n', ' ') IS DISTINCT FROM d.note
		OR replace(f.value, E'\n', ' ') NOT LIKE d.value || '%' OR (d.standard_error IS NULL) = (replace(f.value, E'\n', ' ') LIKE '% ± %')) AS not_told
	FROM (SELECT *, row_number() OVER () AS line FROM customers_orders.model_card) f FULL JOIN customers_orders.model_card_details d USING (line) WHERE d.item <> 'fitted at';

SELECT crm_profile.drop_source('customers_orders');
DROP SCHEMA trade CASCADE;
