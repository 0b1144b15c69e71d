-- The join of histories and customers in the order of their keys: the same answers as by merging, for keys of several
-- types, however many of them have a counterpart
SET client_min_messages = warning;
SET jit = off;
CREATE FUNCTION answer(question text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE format('SELECT count(*) || '' '' || md5(string_agg(a::text, E''\n'' ORDER BY a::text COLLATE "C")) FROM (%s) a', question) INTO answer;
	RETURN answer;
END $$;
CREATE FUNCTION kinds(question text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	found text[];
BEGIN
	FOR line IN EXECUTE 'EXPLAIN ' || question LOOP
		found := found || (regexp_match(line, 'Join Type: (\w+)'))[1];
	END LOOP;
	RETURN (SELECT string_agg(DISTINCT k, ', ' ORDER BY k) FROM unnest(found) k);
END $$;
SELECT setseed(0.5);
CREATE TABLE bought AS SELECT 1 + floor(3000 * random() ^ 2)::bigint AS n, date '2024-01-01' + floor(600 * random())::integer AS day, round((5 + 90 * random())::numeric, 2) AS total FROM generate_series(1, 4000);
-- a few customers without orders lie together, and many orders belong to nobody in the table
CREATE TABLE of_integers AS SELECT n::integer AS id FROM generate_series(1, 2600) n WHERE n % 7 > 0 AND n NOT BETWEEN 400 AND 900;
CREATE TABLE of_texts AS SELECT 'K' || md5(id::text) AS id FROM of_integers;
CREATE TABLE of_uuids AS SELECT md5(id::text)::uuid AS id FROM of_integers;
CREATE TABLE case_ (place serial, name text, key text, order_key text);
INSERT INTO case_ (name, key, order_key) VALUES ('of_integers', 'integer', 'n::integer'), ('of_texts', 'text', '''K'' || md5(n::text)'), ('of_uuids', 'uuid', 'md5(n::text)::uuid');
DO $$
DECLARE
	c case_;
BEGIN
	FOR c IN SELECT * FROM case_ ORDER BY place LOOP
		EXECUTE format('ALTER TABLE %I ADD PRIMARY KEY (id)', c.name);
		EXECUTE format('CREATE TABLE %I AS SELECT %s AS customer, day, total FROM bought', 'orders_' || c.name, c.order_key);
		EXECUTE format('ALTER TABLE %I ALTER customer TYPE %s', 'orders_' || c.name, c.key);
		PERFORM crm_profile.create_source('s_' || c.name, c.name, 'orders_' || c.name, as_of => '2025-09-27');
		PERFORM crm_profile.refresh('s_' || c.name);
		-- versions that are no longer visible, and rows that are gone
		EXECUTE format('UPDATE %I SET id = id WHERE left(md5(id::text), 1) < ''6''', c.name);
		EXECUTE format('DELETE FROM %I WHERE left(md5(id::text), 1) = ''7''', c.name);
		EXECUTE format('UPDATE %I.customer_history SET history = history WHERE left(md5(customer::text), 1) IN (''3'', ''b'')', 's_' || c.name);
		EXECUTE format('DELETE FROM %I.customer_history WHERE left(md5(customer::text), 1) = ''5''', 's_' || c.name);
		-- the planner is told that they are many
		EXECUTE format('UPDATE pg_class SET relpages = 1, reltuples = 100000 WHERE oid IN (%L::regclass, ''%I.customer_history''::regclass)', c.name, 's_' || c.name);
	END LOOP;
END $$;
CREATE TABLE question (place serial, query text);
INSERT INTO question (query) VALUES ('SELECT * FROM %2$I.customer_profile'), ('SELECT * FROM %2$I.customer_profile WHERE value_tier = ''A'''),
	('SELECT h.customer FROM %2$I.customer_history h WHERE NOT EXISTS (SELECT FROM %1$I c WHERE c.id = h.customer)'), ('SELECT h.* FROM %2$I.customer_history h WHERE EXISTS (SELECT FROM %1$I c WHERE c.id = h.customer)'),
	('SELECT c.id, h.customer FROM %1$I c JOIN %2$I.customer_history h ON h.customer = c.id WHERE left(md5(c.id::text), 2) = ''8a'''),
	('SELECT c.id, c.ctid, h.customer, h.history FROM %1$I c LEFT JOIN %2$I.customer_history h ON h.customer = c.id'),
	('SELECT n, s.* FROM generate_series(1, 3) n, LATERAL (SELECT count(h.history), count(*) FILTER (WHERE left(md5(c.id::text), 1) > n::text) FROM %1$I c LEFT JOIN %2$I.customer_history h ON h.customer = c.id) s');
CREATE TABLE asked AS SELECT c.place AS of_case, c.name, q.place, format(q.query, c.name, 's_' || c.name) AS query FROM case_ c, question q;
SET enable_seqscan = off;
SET enable_sort = off;
SET max_parallel_workers_per_gather = 0;
SET crm_profile.enable_key_join = off;
CREATE TABLE merged AS SELECT of_case, place, answer(query) FROM asked;
SET crm_profile.enable_key_join = on;
SELECT a.place, kinds(a.query), string_agg(name, ', ' ORDER BY name) AS of, bool_and(answer(a.query) = m.answer) AS same FROM asked a JOIN merged m USING (of_case, place) GROUP BY 1, 2 ORDER BY 1, 2;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
SELECT count(*), count(*) FILTER (WHERE kinds(a.query) IS NOT NULL) > 9 AS by_key, bool_and(answer(a.query) = m.answer) AS same FROM asked a JOIN merged m USING (of_case, place);
RESET ALL;
SET client_min_messages = warning;
SET jit = off;
SET enable_seqscan = off;
-- rows without a key on the outer side, and keys of another type
CREATE TABLE seen AS SELECT CASE WHEN n % 5 > 0 THEN n END AS id FROM generate_series(1, 3000) n;
CREATE UNIQUE INDEX ON seen (id);
CREATE TABLE of_smallints AS SELECT id::smallint AS id FROM of_integers;
ALTER TABLE of_smallints ADD PRIMARY KEY (id);
UPDATE pg_class SET relpages = 1, reltuples = 100000 WHERE oid IN ('seen'::regclass, 'of_smallints'::regclass);
CREATE TABLE seen_question AS VALUES ('SELECT s.id, h.history FROM seen s LEFT JOIN s_of_integers.customer_history h ON h.customer = s.id'), ('SELECT s.id FROM seen s WHERE NOT EXISTS (SELECT FROM s_of_integers.customer_history h WHERE h.customer = s.id)'),
	('SELECT s.id, h.customer FROM seen s JOIN s_of_integers.customer_history h ON h.customer = s.id'), ('SELECT s.id, h.history FROM of_smallints s LEFT JOIN s_of_integers.customer_history h ON h.customer = s.id');
SET crm_profile.enable_key_join = off;
CREATE TABLE seen_merged AS SELECT column1 AS query, answer(column1) FROM seen_question;
SET crm_profile.enable_key_join = on;
SELECT kinds(query), answer(query) = answer AS same FROM seen_merged;
-- where the first rows by a figure of histories are wanted, these are read first; customers without a history come last
CREATE TABLE wanted (place serial, rest text);
INSERT INTO wanted (rest) VALUES ('ORDER BY clv_365d DESC NULLS LAST LIMIT 10'), ('ORDER BY clv_365d DESC NULLS LAST, customer LIMIT 2000'), ('ORDER BY monetary DESC NULLS LAST, customer OFFSET 5 LIMIT 7'), ('ORDER BY recency, customer DESC LIMIT 5'),
	('ORDER BY p_purchase_90d NULLS LAST, customer LIMIT 0'), ('ORDER BY last_purchase DESC NULLS LAST, customer LIMIT 1'), ('ORDER BY trend NULLS LAST, customer LIMIT 1500');
INSERT INTO wanted (rest) SELECT unnest(ARRAY['ORDER BY clv_365d DESC, customer LIMIT 10', 'ORDER BY customer LIMIT 10', 'ORDER BY segment, customer LIMIT 10', 'WHERE clv_365d > 0 ORDER BY clv_365d DESC NULLS LAST, customer LIMIT 10',
	'ORDER BY recency FETCH FIRST 3 ROWS WITH TIES', 'ORDER BY coalesce(clv_365d, 1e6) DESC NULLS LAST, customer LIMIT 10', 'ORDER BY recency + length(customer::text) DESC NULLS LAST, customer LIMIT 10']);
CREATE FUNCTION wants(question text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN ' || question LOOP
		IF line ~ 'Rows Wanted' THEN
			RETURN substring(line, '\d+');
		END IF;
	END LOOP;
	RETURN NULL;
END $$;
RESET enable_sort;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE best AS SELECT c.place AS of_case, w.place, format('SELECT * FROM %I.customer_profile %s', 's_' || c.name, w.rest) AS query FROM case_ c, wanted w;
SET crm_profile.enable_key_join = off;
CREATE TABLE best_merged AS SELECT of_case, place, answer(query) FROM best;
SET crm_profile.enable_key_join = on;
SELECT b.place, wants(b.query), count(*) AS of, bool_and(answer(b.query) IS NOT DISTINCT FROM m.answer) AS same FROM best b JOIN best_merged m USING (of_case, place) GROUP BY 1, 2 ORDER BY 1, 2;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
SELECT count(*), count(*) FILTER (WHERE wants(b.query) IS NOT NULL) AS best_first, bool_and(answer(b.query) IS NOT DISTINCT FROM m.answer) AS same FROM best b JOIN best_merged m USING (of_case, place);
-- the limit of a statement is known only when it runs; a row of another query is asked for again and again
PREPARE first_rows(int) AS SELECT customer FROM s_of_integers.customer_profile ORDER BY clv_365d DESC NULLS LAST, customer LIMIT $1;
SET plan_cache_mode = force_generic_plan;
SELECT wants('EXECUTE first_rows(3)') IS NULL AS any_limit;
RESET plan_cache_mode;
SELECT count(*) AS rows, count(DISTINCT customer) AS customers FROM generate_series(1, 3) n, LATERAL (SELECT p.customer FROM s_of_integers.customer_profile p ORDER BY p.monetary * n DESC NULLS LAST, p.customer LIMIT 4) p;
RESET ALL;
SET client_min_messages = warning;
SET jit = off;
SET enable_seqscan = off;
-- rows that will be locked or changed are joined otherwise, and so are those under a policy
SELECT kinds('SELECT c.id, h.history FROM of_integers c JOIN s_of_integers.customer_history h ON h.customer = c.id FOR UPDATE OF c') AS locked, kinds('UPDATE of_integers c SET id = h.customer FROM s_of_integers.customer_history h WHERE h.customer = c.id') AS changed,
	kinds('SELECT c.id, h.ctid FROM of_integers c LEFT JOIN s_of_integers.customer_history h ON h.customer = c.id') AS places;
CREATE ROLE regress_crm_key_reader;
GRANT USAGE ON SCHEMA s_of_integers TO regress_crm_key_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA s_of_integers TO regress_crm_key_reader;
GRANT SELECT ON of_integers TO regress_crm_key_reader;
CREATE TABLE as_owner AS SELECT answer('SELECT * FROM s_of_integers.customer_profile');
GRANT SELECT ON as_owner TO regress_crm_key_reader;
SET ROLE regress_crm_key_reader;
SELECT kinds('SELECT * FROM s_of_integers.customer_profile') AS by_key, answer('SELECT * FROM s_of_integers.customer_profile') = answer AS same FROM as_owner;
RESET ROLE;
RESET ALL;
SET client_min_messages = warning;
SELECT crm_profile.drop_source('s_' || name) FROM case_ ORDER BY place;
DROP OWNED BY regress_crm_key_reader;
DROP ROLE regress_crm_key_reader;
DROP TABLE bought, of_smallints, of_integers, of_texts, of_uuids, orders_of_integers, orders_of_texts, orders_of_uuids, case_, question, asked, merged, seen, seen_question, seen_merged, wanted, best, best_merged, as_owner;
DROP FUNCTION answer(text), kinds(text), wants(text);
