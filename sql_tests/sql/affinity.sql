-- What is bought together: rules of baskets, what similar baskets have, and who buys what; against plain SQL
SET client_min_messages = warning;
CREATE SCHEMA affinity;
SET search_path = affinity;
-- the exact chances are many short queries
SET jit = off;
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/data/northwind.psql'
\i :file
SET datestyle = ISO;

---------------------------------------------------------------- rules against plain SQL
CREATE VIEW line AS SELECT order_id AS basket, 'product ' || product_id AS product FROM order_details;

-- the chance of at least k, summed exactly
CREATE TABLE fact AS SELECT n::bigint AS n, factorial(n) AS f FROM generate_series(0, 830) n;
ALTER TABLE fact ADD PRIMARY KEY (n);
CREATE FUNCTION choose(n bigint, k bigint) RETURNS numeric LANGUAGE sql STABLE AS $$ SELECT coalesce((SELECT div(a.f, b.f * c.f) FROM fact a, fact b, fact c WHERE a.n = choose.n AND b.n = choose.k AND c.n = choose.n - choose.k), 0) $$;
CREATE FUNCTION tail(k bigint, drawn bigint, marked bigint, total bigint) RETURNS numeric LANGUAGE sql STABLE AS $$
	SELECT sum(choose(marked, i) * choose(total - marked, drawn - i)) / choose(total, drawn) FROM generate_series(k, least(drawn, marked)) i $$;

CREATE TABLE plain AS
WITH one AS (SELECT product, count(*) AS n FROM line GROUP BY product),
	two AS (SELECT a.product AS a, b.product AS b, count(*) AS n FROM line a JOIN line b USING (basket) WHERE a.product <> b.product GROUP BY 1, 2)
SELECT ARRAY[two.a] AS l, two.b AS r, two.n AS n, l.n AS ln, r.n AS rn FROM two JOIN one l ON l.product = two.a JOIN one r ON r.product = two.b WHERE two.n >= 2
UNION ALL
SELECT ARRAY[a.product, b.product], c.product, count(*), two.n, r.n
	FROM line a JOIN line b USING (basket) JOIN line c USING (basket) JOIN two ON two.a = a.product AND two.b = b.product JOIN one r ON r.product = c.product
	WHERE a.product < b.product AND c.product NOT IN (a.product, b.product) GROUP BY 1, 2, two.n, r.n HAVING count(*) >= 2;
SELECT cardinality(l) AS left_size, count(*) AS rules, sum(n) FROM plain GROUP BY 1 ORDER BY 1;

CREATE FUNCTION sorted(words text[]) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$ SELECT array_agg(w ORDER BY w) FROM unnest(words) w $$;
CREATE TABLE found AS SELECT sorted(left_side) AS l, r.* FROM crm_profile.basket_rules('SELECT * FROM line', 2 / 830.0, 2) r;
-- nothing missing, nothing too much, no count that differs
SELECT count(*) FROM plain p FULL JOIN found f ON f.l = sorted(p.l) AND f.right_side = p.r WHERE (p.n, p.ln, p.rn) IS DISTINCT FROM (f.baskets, f.left_baskets, f.right_baskets);
SELECT count(*) FROM found f WHERE abs(f.support - f.baskets / 830.0) > 1e-12 OR abs(f.confidence - f.baskets / f.left_baskets::float8) > 1e-12 OR abs(f.lift - f.baskets * 830.0 / f.left_baskets / f.right_baskets) > 1e-9;
SELECT count(*) FROM found f WHERE f.baskets > 3 AND abs(f.p_value / tail(f.baskets, f.left_baskets, f.right_baskets, 830)::float8 - 1) > 1e-9;
-- Benjamini and Hochberg
SELECT count(*) FROM (SELECT p_adjusted, min(least(1, p_value * n / place)) OVER (ORDER BY p_value DESC RANGE UNBOUNDED PRECEDING) AS q
	FROM (SELECT f.*, count(*) OVER () AS n, count(*) OVER (ORDER BY p_value RANGE UNBOUNDED PRECEDING) AS place FROM found f) f) x WHERE abs(p_adjusted - q) > 1e-12;
-- one product on the left
SELECT count(*), count(*) FILTER (WHERE (p.n, p.ln, p.rn) IS DISTINCT FROM (f.baskets, f.left_baskets, f.right_baskets)) AS wrong
FROM (SELECT * FROM plain WHERE 'product 71' = ANY (l)) p FULL JOIN (SELECT sorted(left_side) AS l, r.* FROM crm_profile.basket_rules('SELECT * FROM line', 2 / 830.0, 2, 'product 71') r) f ON f.l = sorted(p.l) AND f.right_side = p.r;
SELECT count(*), count(*) FILTER (WHERE (p.n, p.ln, p.rn) IS DISTINCT FROM (f.baskets, f.left_baskets, f.right_baskets)) AS wrong
FROM (SELECT * FROM plain WHERE l = '{product 71}') p FULL JOIN crm_profile.basket_rules('SELECT * FROM line', 2 / 830.0, product => 'product 71') f ON f.left_side = p.l AND f.right_side = p.r;
-- confidence
SELECT count(*) = (SELECT count(*) FROM found WHERE confidence >= 0.25) AS as_asked FROM crm_profile.basket_rules('SELECT * FROM line', 2 / 830.0, 2, min_confidence => 0.25);
-- many have each and few have both: the chance of at least so few is 1, and that of exactly so few too small for a double
SELECT left_side, right_side, baskets, left_baskets, p_value, p_adjusted
FROM crm_profile.basket_rules('SELECT i AS basket, p AS product FROM generate_series(1, 6000) i, (VALUES (0, ''even''), (1, ''odd''), (2, ''other'')) v (rest, p) WHERE CASE WHEN i > 4000 THEN rest = 2 ELSE rest < 2 AND (i % 2 = rest OR i % 100 = 0) END', 0.001) ORDER BY left_side;

-- the same where baskets spill, their lines come in any order and more than once, keys are texts, products numbers
SET work_mem = '64kB';
SET hash_mem_multiplier = 1;
CREATE TABLE many AS SELECT format('basket %s of %s', basket, copy) AS basket, product_id AS product FROM (SELECT order_id AS basket, product_id FROM order_details) l, generate_series(1, 40) copy ORDER BY md5(format('%s %s %s', basket, product_id, copy));
INSERT INTO many SELECT * FROM many TABLESAMPLE SYSTEM (10) REPEATABLE (1);
SELECT count(*) FROM (SELECT ARRAY(SELECT replace(w, 'product ', '') FROM unnest(l) w) AS l, replace(right_side, 'product ', '') AS r, baskets, left_baskets, right_baskets, lift FROM found) f
	FULL JOIN crm_profile.basket_rules('SELECT * FROM many', 2 / 830.0, 2) m ON sorted(m.left_side) = sorted(f.l) AND m.right_side = f.r
WHERE (40 * f.baskets, 40 * f.left_baskets, 40 * f.right_baskets, round(f.lift::numeric, 9)) IS DISTINCT FROM (m.baskets, m.left_baskets, m.right_baskets, round(m.lift::numeric, 9));
RESET work_mem;
RESET hash_mem_multiplier;

---------------------------------------------------------------- what similar baskets have
CREATE TABLE similar_plain AS
WITH size AS (SELECT basket, count(*) AS n, count(*) FILTER (WHERE product IN ('product 71', 'product 2', 'product 13')) AS common FROM line GROUP BY basket),
	near AS (SELECT basket, common / sqrt(n * 3) AS weight FROM size WHERE common > 0)
SELECT l.product, count(*) AS n, sum(near.weight) / (SELECT sum(weight) FROM near) AS share,
	count(*) / (SELECT count(*) FROM near)::float8 / ((SELECT count(*) FROM line a WHERE a.product = l.product) / 830.0) AS lift,
	tail(count(*), (SELECT count(*) FROM near), (SELECT count(*) FROM line a WHERE a.product = l.product), 830) AS p
FROM near JOIN line l USING (basket) WHERE l.product NOT IN ('product 71', 'product 2', 'product 13') GROUP BY l.product;
SELECT count(*), count(*) FILTER (WHERE p.n IS DISTINCT FROM s.baskets OR abs(p.share - s.share) > 1e-8 OR abs(p.lift - s.lift) > 1e-9 OR abs(p.p - s.p_value) > 1e-9) AS wrong
FROM similar_plain p FULL JOIN crm_profile.next_products('SELECT * FROM line', '{product 71, product 2, product 13, product 2, nothing, NULL}') s USING (product);
SELECT count(*) FROM crm_profile.next_products('SELECT * FROM line', '{nothing}');
SELECT count(*) FROM crm_profile.next_products('SELECT * FROM line', NULL);

---------------------------------------------------------------- published lifts
-- the counts of arules' Groceries, whose 9 835 baskets are not part of the project (the test groceries has them)
CREATE FUNCTION with_counts(lefts integer, rights integer, boths integer) RETURNS text LANGUAGE sql AS $$
	SELECT format('SELECT b, p FROM generate_series(1, 9835) b, LATERAL (VALUES (''other''), (CASE WHEN b <= %1$s THEN ''left'' END), (CASE WHEN b <= %1$s THEN ''beside'' END), (CASE WHEN b > %1$s - %3$s AND b <= %1$s - %3$s + %2$s THEN ''right'' END)) v(p) WHERE p IS NOT NULL', lefts, rights, boths) $$;
SELECT left_side, right_side, baskets, left_baskets, right_baskets, round(support::numeric, 9) AS support, round(confidence::numeric, 7) AS confidence, round(lift::numeric, 5) AS lift
FROM crm_profile.basket_rules(with_counts(19, 327, 12), 0.001, 2) WHERE left_side @> '{left, beside}' AND right_side = 'right';
SELECT left_side, right_side, baskets, left_baskets, right_baskets, round(lift::numeric, 6) AS lift FROM crm_profile.basket_rules(with_counts(1372, 2513, 551), 0.001) WHERE left_side = '{left}' AND right_side = 'right';

---------------------------------------------------------------- who buys what, without a source
-- against plain SQL where customers spill: text keys, some twice in the customer table, some unknown, lines more than once
SET work_mem = '64kB';
SET hash_mem_multiplier = 1;
CREATE TABLE marked AS SELECT format('the key of customer number %s', n % 50000) AS customer, format('category %s', n * n::bigint % 23 % (1 + n % 50000 % 30)) AS category, NULL AS segment, NULL AS tier FROM generate_series(1, 200000) n
	UNION ALL SELECT format('the key of customer number %s', n % 44000), NULL, format('segment %s', n % 3), format('tier %s', n % 44000 % 4) FROM generate_series(1, 45000) n
	UNION ALL VALUES (NULL, 'category 1', NULL, NULL), ('the key of nobody', NULL, 'segment 9', 'tier 9');
CREATE TABLE marked_plain AS
WITH bought AS (SELECT DISTINCT customer, category FROM marked WHERE category IS NOT NULL),
	grouped AS (SELECT m.customer, d.* FROM marked m, LATERAL (VALUES ('segment', m.segment), ('value_tier', m.tier)) d(dimension, customer_group) WHERE m.segment IS NOT NULL AND m.customer IN (SELECT customer FROM bought)),
	cell AS (SELECT dimension, customer_group, category, count(*) AS n FROM grouped JOIN bought USING (customer) GROUP BY 1, 2, 3),
	size AS (SELECT dimension, customer_group, count(*) AS n, sum(count(*)) OVER (PARTITION BY dimension) AS everybody FROM grouped GROUP BY 1, 2),
	total AS (SELECT category, sum(n) AS n FROM cell WHERE dimension = 'segment' GROUP BY 1)
SELECT s.dimension, s.customer_group, t.category, coalesce(c.n, 0) AS n, s.n AS group_n, (coalesce(c.n, 0) / s.n::float8) / (t.n / s.everybody::float8) AS lift FROM size s CROSS JOIN total t LEFT JOIN cell c USING (dimension, customer_group, category);
CREATE TABLE marked_found AS SELECT a.* FROM unnest((SELECT crm_profile_internal.product_affinity_rows(customer, category, segment, tier, '2025-01-01') FROM marked)) a;
SELECT count(*), sum(n), count(*) FILTER (WHERE (p.n, p.group_n) IS DISTINCT FROM (f.customers, f.group_customers) OR p.lift IS DISTINCT FROM f.lift) AS wrong FROM marked_plain p FULL JOIN marked_found f USING (dimension, customer_group, category);
-- those who buy most above all others, and the order
SELECT count(*), count(b.segment) > 0 AND count(b.value_tier) > 0 AS some_stand_out, count(*) FILTER (WHERE place <> due OR (b.segment, b.segment_lift, b.value_tier, b.tier_lift) IS DISTINCT FROM (s.customer_group, s.lift, t.customer_group, t.lift)) AS wrong
FROM (SELECT b.*, row_number() OVER (ORDER BY b.customers DESC, b.category COLLATE "C") AS due FROM unnest((SELECT crm_profile_internal.category_buyers_rows(customer, category, segment, tier, '2025-01-01') FROM marked)) b) b
	LEFT JOIN LATERAL (SELECT f.customer_group, f.lift FROM marked_found f WHERE f.dimension = 'segment' AND f.category = b.category AND f.verdict = 'more than others' ORDER BY f.lift DESC, f.customer_group COLLATE "C" LIMIT 1) s ON true
	LEFT JOIN LATERAL (SELECT f.customer_group, f.lift FROM marked_found f WHERE f.dimension = 'value_tier' AND f.category = b.category AND f.verdict = 'more than others' ORDER BY f.lift DESC, f.customer_group COLLATE "C" LIMIT 1) t ON true;
-- files are closed where nobody takes the answer: run again, and broken off
SELECT n, (SELECT cardinality(crm_profile_internal.product_affinity_rows(customer, category, segment, tier, '2025-01-01')) FROM marked WHERE length(customer) > n) AS rows FROM generate_series(1, 2) n;
SELECT crm_profile_internal.product_affinity_rows(customer, category, segment, tier, '2025-01-01') IS NULL FROM marked WHERE 1 / (CASE segment WHEN 'segment 9' THEN 0 ELSE 1 END) = 1;
SELECT crm_profile_internal.product_affinity_rows(1, 'a', NULL, NULL, NULL) IS NULL AS no_day, crm_profile_internal.product_affinity_rows(1, 'a', NULL, NULL, '2025-01-01') AS unknown;
RESET work_mem;
RESET hash_mem_multiplier;
-- keys are told apart by their equality: one customer, then two; and collations that differ are none
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
SELECT array_agg(group_customers) FROM unnest((SELECT crm_profile_internal.product_affinity_rows(k COLLATE any_case, c, s, t, '2025-01-01') FROM (VALUES ('a', 'x', NULL, NULL), ('A', 'y', NULL, NULL), ('a', NULL, 's', 't')) v(k, c, s, t))) a;
CREATE TABLE line_key AS SELECT k COLLATE "C" AS k, c FROM (VALUES ('a', 'x'), ('A', 'y')) v(k, c);
CREATE TABLE own_key AS SELECT k COLLATE "POSIX" AS k FROM line_key;
SELECT array_agg(group_customers) FROM unnest((SELECT crm_profile_internal.product_affinity_rows(k, c, s, t, '2025-01-01') FROM (SELECT k, c, NULL AS s, NULL AS t FROM line_key UNION ALL SELECT k, NULL, 's', 't' FROM own_key) u)) a;
-- nobody has a tier; a category without a name
SELECT place, category, customers, segment, value_tier FROM unnest((SELECT crm_profile_internal.category_buyers_rows(k, c, s, NULL, '2025-01-01') FROM (VALUES (1, '', NULL), (1, 'b', NULL), (2, 'b', NULL), (1, NULL, 's'), (2, NULL, 's')) v(k, c, s))) b;
-- so many groups of one customer that the table of pairs has no place
SELECT cardinality(crm_profile_internal.product_affinity_rows(1, CASE WHEN i % 2 = 0 THEN 'c' || i END, CASE WHEN i % 2 = 1 THEN 's' || i END, NULL, '2025-01-01')) FROM generate_series(1, 10000) i;

---------------------------------------------------------------- bad input
SET client_min_messages = notice;
SELECT * FROM crm_profile.basket_rules('SELECT 1 AS basket, NULL::text AS product UNION ALL SELECT NULL, ''a'' UNION ALL SELECT 2, ''''');
SELECT * FROM crm_profile.basket_rules('SELECT 1, 2 WHERE false');
SELECT * FROM crm_profile.basket_rules('SELECT 1, 2', 0);
SELECT * FROM crm_profile.basket_rules('SELECT 1, ''b''::text UNION ALL SELECT 1, ''a''', 1, product => 'a');
SELECT * FROM crm_profile.basket_rules('SELECT 1, 2', product => 'nothing');
SELECT * FROM crm_profile.basket_rules('SELECT 1');
SELECT * FROM crm_profile.basket_rules(NULL);
SELECT * FROM crm_profile.basket_rules('SELECT point(1, 2), 1');
SELECT * FROM crm_profile.basket_rules('SELECT 1, 2', 1.5);
SELECT * FROM crm_profile.basket_rules('SELECT 1, 2', 'NaN');
SELECT * FROM crm_profile.basket_rules('SELECT 1, 2', max_left => 3);
SELECT * FROM crm_profile.basket_rules('DELETE FROM line RETURNING 1, 2');
-- 120 products in each of three baskets: too many sets for this memory
SET work_mem = '64kB';
SET hash_mem_multiplier = 1;
SELECT count(*) FROM crm_profile.basket_rules('SELECT b, p FROM generate_series(1, 3) b, generate_series(1, 120) p', 0, 2);
RESET work_mem;
RESET hash_mem_multiplier;

---------------------------------------------------------------- a source
SET client_min_messages = warning;
CREATE TABLE products AS SELECT DISTINCT product_id, CASE WHEN product_id <> 77 THEN 'category ' || product_id % 8 END AS category FROM order_details;
CREATE VIEW lines AS SELECT d.*, p.category, 'product ' || product_id AS product FROM order_details d JOIN products p USING (product_id);
SELECT argument, value, origin FROM crm_profile.create_source('shop', customers => 'customers', orders => 'SELECT o.*, (SELECT round(sum(d.unit_price * d.quantity)::numeric, 2) FROM order_details d WHERE d.order_id = o.order_id) AS amount FROM orders o',
	order_key => 'order_id', lines => 'lines', line_order => 'order_id', line_product => 'product', line_category => 'category', as_of => '1998-05-06') WHERE argument LIKE 'line%';
SELECT count(*) > 0 AS refreshed FROM crm_profile.refresh('shop');
SELECT count(*), count(DISTINCT basket) AS baskets, count(DISTINCT customer) AS customers, min(ordered_on), max(ordered_on), count(category) AS with_category FROM shop.order_line;

-- against plain SQL, with exact chances
CREATE TABLE bought AS SELECT DISTINCT o.customer_id AS customer, coalesce(l.category, '(no category)') AS category FROM lines l JOIN orders o USING (order_id) WHERE o.order_date <= '1998-05-06';
CREATE TABLE affinity_plain AS
WITH grouped AS (SELECT customer, 'segment' AS dimension, coalesce(segment, '(unscored)') AS customer_group FROM shop.customer_profile UNION ALL SELECT customer, 'value_tier', coalesce(value_tier, '(unscored)') FROM shop.customer_profile),
	buyer AS (SELECT DISTINCT g.* FROM grouped g JOIN bought USING (customer)),
	pair AS (SELECT g.dimension, g.customer_group, c.category, (SELECT count(*) FROM bought b JOIN buyer x USING (customer) WHERE b.category = c.category AND (x.dimension, x.customer_group) = (g.dimension, g.customer_group)) AS n, count(*) AS group_n,
			(SELECT count(*) FROM bought b WHERE b.category = c.category) AS category_n, (SELECT count(DISTINCT customer) FROM bought) AS everybody
		FROM buyer g, (SELECT DISTINCT category FROM bought) c GROUP BY g.dimension, g.customer_group, c.category)
SELECT p.*, least(1, 2 * least(tail(n, group_n, category_n, everybody), 1 - tail(n + 1, group_n, category_n, everybody))) AS p FROM pair p;
SELECT count(*) AS pairs, count(*) FILTER (WHERE (p.n, p.group_n) IS DISTINCT FROM (a.customers, a.group_customers) OR abs(p.p - a.p_value) > 1e-9 OR abs(a.share - p.n / p.group_n::float8) > 1e-12
	OR abs(a.lift - p.n * p.everybody / p.group_n::float8 / p.category_n) > 1e-9 OR abs(a.index - 100 * a.lift) > 1e-9 OR abs(a.share_of_all - p.category_n / p.everybody::float8) > 1e-12) AS wrong
FROM affinity_plain p FULL JOIN shop.product_affinity a USING (dimension, customer_group, category);
SELECT dimension, customer_group, category, customers, group_customers, round(lift::numeric, 3) AS lift, round(p_adjusted::numeric, 4) AS p, verdict FROM shop.product_affinity WHERE dimension = 'value_tier' AND category < 'category 2' ORDER BY customer_group COLLATE "C", category COLLATE "C";
SELECT place, category, customers, round(share::numeric, 3) AS share, segment, value_tier, round(tier_lift::numeric, 3) AS tier_lift FROM shop.category_buyers;
SELECT count(*) FROM (SELECT category, count(*) AS n FROM bought GROUP BY category) b FULL JOIN shop.category_buyers c USING (category) WHERE b.n IS DISTINCT FROM c.customers;
-- an earlier day; before the first order
SELECT count(*) AS pairs, max(group_customers) <= (SELECT count(DISTINCT customer_id) FROM orders WHERE order_date <= '1996-12-31') AS fits, min(as_of) FROM shop.product_affinity('1996-12-31');
SELECT count(*) FROM shop.product_affinity('1996-01-01');

SELECT complement, baskets, round(confidence::numeric, 4) AS confidence, round(lift::numeric, 4) AS lift, round(p_value::numeric, 6) AS p FROM crm_profile.complements('shop', 'product 13') LIMIT 3;
SELECT count(*), count(*) FILTER (WHERE (c.baskets, c.lift) IS DISTINCT FROM (r.baskets, r.lift)) AS wrong FROM crm_profile.complements('shop', 'product 13', '1997-12-31', 0.005) c
	FULL JOIN crm_profile.basket_rules('SELECT order_id, product FROM lines JOIN orders USING (order_id) WHERE order_date <= ''1997-12-31''', 0.005, 1, 'product 13') r ON r.right_side = c.complement;
SELECT count(*) FROM crm_profile.complements('shop', 'nothing');
SELECT product, baskets, round(share::numeric, 4) AS share, round(lift::numeric, 4) AS lift FROM crm_profile.next_product('shop', 'ALFKI', most => 3);
SELECT count(*), count(*) FILTER (WHERE n.product IN (SELECT l.product FROM shop.order_line l WHERE l.customer = 'ALFKI' AND l.ordered_on <= '1997-12-31')) AS known FROM crm_profile.next_product('shop', 'ALFKI', '1997-12-31', 100) n;
SELECT count(*) FROM crm_profile.next_product('shop', 'nobody');

-- readers see the lines of the customers that they see, whether a policy or a view hides the others
CREATE ROLE regress_affinity_reader;
GRANT USAGE ON SCHEMA shop TO regress_affinity_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO regress_affinity_reader;
SELECT format('GRANT USAGE ON SCHEMA %I TO regress_affinity_reader', current_schema) \gexec
GRANT SELECT ON customers, orders, order_details, lines, products TO regress_affinity_reader;
CREATE FUNCTION pg_temp.seen() RETURNS TABLE (customers bigint, with_lines bigint, lines bigint, product_13 bigint) LANGUAGE sql AS $$
	SELECT (SELECT count(*) FROM shop.customer_profile), count(DISTINCT l.customer), count(*), count(*) FILTER (WHERE l.product = 'product 13') FROM shop.order_line l $$;
ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY only_some ON customers TO regress_affinity_reader USING (customer_id < 'C');
SELECT * FROM pg_temp.seen();
SELECT count(*) FILTER (WHERE customer_id < 'C') AS lines_by_hand, count(DISTINCT customer_id) FILTER (WHERE customer_id < 'C') AS customers_by_hand FROM lines JOIN orders USING (order_id);
SET ROLE regress_affinity_reader;
SELECT * FROM pg_temp.seen();
SELECT sum(customers) AS pairs FROM shop.product_affinity WHERE dimension = 'segment';
RESET ROLE;
SELECT count(*) AS pairs_by_hand FROM bought WHERE customer < 'C';
DROP POLICY only_some ON customers;
ALTER TABLE customers DISABLE ROW LEVEL SECURITY;
CREATE VIEW some_customers AS SELECT * FROM customers WHERE customer_id < 'C' OR current_user <> 'regress_affinity_reader';
GRANT SELECT ON some_customers TO regress_affinity_reader;
SELECT crm_profile.alter_source('shop', customers => 'some_customers');
SELECT * FROM pg_temp.seen();
SET ROLE regress_affinity_reader;
SELECT * FROM pg_temp.seen();
RESET ROLE;
SELECT crm_profile.alter_source('shop', customers => 'customers');
DROP OWNED BY regress_affinity_reader;
DROP ROLE regress_affinity_reader;

-- faults in the lines
ALTER TABLE order_details DROP CONSTRAINT order_details_pkey, DROP CONSTRAINT order_details_order_id_fkey;
ALTER TABLE order_details ALTER order_id DROP NOT NULL, ALTER product_id DROP NOT NULL;
INSERT INTO order_details VALUES (NULL, 1, 1, 1, 0), (1, 1, 1, 1, 0), (10248, 77, 1, 1, 0);
INSERT INTO products VALUES (NULL, 'category 9');
CREATE OR REPLACE VIEW lines AS SELECT d.*, p.category, 'product ' || d.product_id AS product FROM order_details d LEFT JOIN products p USING (product_id);
INSERT INTO orders VALUES (32000, 'ALFKI', '1998-05-06'), (32001, NULL, '1998-05-06');
INSERT INTO order_details VALUES (32000, NULL, 1, 1, 0), (32001, 1, 1, 1, 0);
SELECT finding, severity, rows FROM crm_profile.check_source('shop') WHERE finding LIKE 'order lines%' OR finding LIKE 'baskets%' ORDER BY finding COLLATE "C";
-- an empty text is no category, either
UPDATE products SET category = '' WHERE product_id = 76;
SELECT count(*), count(*) FILTER (WHERE category = '') AS empty, max(customers) FILTER (WHERE category = '(no category)') = (SELECT count(DISTINCT customer_id) FROM lines JOIN orders USING (order_id) WHERE coalesce(category, '') = '' AND product <> '') AS as_found FROM shop.category_buyers;

-- customer and day in the lines themselves; the orders are lines
CREATE TABLE sale AS SELECT customer_id, order_date + time '12:00' AS sold_at, order_id, product_id AS sku, round((unit_price * quantity)::numeric, 2) AS amount FROM order_details JOIN orders USING (order_id) WHERE customer_id IS NOT NULL AND product_id IS NOT NULL;
SELECT argument, value, origin FROM crm_profile.create_source('sales', customers => 'customers', orders => 'sale', ordered_at => 'sold_at', amount => 'amount', order_key => 'order_id', lines => 'sale') WHERE argument LIKE 'line%';
SELECT count(DISTINCT basket) AS baskets, count(customer) AS with_customer, min(ordered_on), count(*) FILTER (WHERE category = product) AS same FROM sales.order_line;
SELECT crm_profile.alter_source('sales', line_order => 'customer_id || order_id', line_category => 'sku % 7');
SELECT count(DISTINCT basket) AS baskets, count(DISTINCT category) AS categories FROM sales.order_line;
SELECT crm_profile.alter_source('sales', reset => '{lines}');
SELECT to_regclass('sales.order_line'), to_regclass('sales.product_affinity'), to_regclass('sales.category_buyers');
SELECT crm_profile.alter_source('sales', lines => 'lines', line_order => 'order_id');
SELECT crm_profile.alter_source('sales', lines => 'sale', line_order => 'order_id', line_customer => 'customer_id', line_day => 'sold_at');
CREATE VIEW sale_lines AS SELECT * FROM sale;
SELECT crm_profile.alter_source('sales', lines => 'sale_lines', line_customer => 'customer_id', line_day => 'sold_at', reset => '{line_order}');
SELECT count(DISTINCT basket) AS baskets, (SELECT count(DISTINCT (customer_id, sold_at)) FROM sale) AS days FROM sales.order_line;

-- errors
SELECT crm_profile.complements('nothing', 'product 13');
SELECT crm_profile.next_product('nothing', 'ALFKI');
\set SHOW_CONTEXT never
SELECT crm_profile.next_product('shop', 'ALFKI', most => -1);
-- lines that know categories alone
CREATE TABLE kinds AS SELECT order_id, category AS kind FROM lines;
SELECT argument, value, origin FROM crm_profile.create_source('kinds', customers => 'customers', orders => 'sale', ordered_at => 'sold_at', amount => 'amount', order_key => 'order_id', lines => 'kinds', line_order => 'order_id', line_category => 'kind') WHERE argument LIKE 'line%';
SELECT crm_profile.drop_source('kinds');
SELECT crm_profile.alter_source('sales', reset => '{lines}');
SELECT crm_profile.alter_source('sales', line_product => 'sku');
SELECT crm_profile.alter_source('shop', lines => 'no_table');
SELECT crm_profile.alter_source('shop', line_product => 'no_column');
SELECT crm_profile.alter_source('shop', line_order => 'product');

SELECT crm_profile.drop_source('shop'), crm_profile.drop_source('sales');
SELECT count(*) FROM pg_namespace WHERE nspname IN ('shop', 'sales');
RESET jit;
DROP SCHEMA affinity CASCADE;
RESET search_path;
