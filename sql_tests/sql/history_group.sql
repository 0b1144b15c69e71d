-- Histories form a group: merge, take away, add
\getenv abs_srcdir PG_ABS_SRCDIR
\set load :abs_srcdir '/data/online_retail.psql'
CREATE SCHEMA history_group;
SET search_path = history_group, crm_profile, public;
\i :load

CREATE TABLE history AS
SELECT customer, row_number() OVER (ORDER BY customer) AS i, sum(amount) AS total, purchase_history_agg(ordered_at, amount,
	CASE WHEN order_id LIKE '%3' THEN NULL ELSE round(amount * 0.61, length(order_id) % 3 + customer % 5) END) AS h
FROM orders WHERE customer IS NOT NULL GROUP BY customer;

-- the laws, over pairs and triples of customers
SELECT count(*) AS pairs,
	count(*) FILTER (WHERE (a.h || b.h) - b.h <> a.h) AS taken_away,
	count(*) FILTER (WHERE (a.h || b.h) - a.h <> b.h) AS the_other_one,
	count(*) FILTER (WHERE a.h || b.h <> b.h || a.h) AS commutative,
	count(*) FILTER (WHERE (a.h || b.h) || c.h <> a.h || (b.h || c.h)) AS associative,
	count(*) FILTER (WHERE ((a.h || b.h) || c.h) - (b.h || c.h) <> a.h) AS two_at_once,
	count(*) FILTER (WHERE a.h || '{}' <> a.h OR a.h - '{}' <> a.h) AS neutral,
	count(*) FILTER (WHERE a.h - a.h <> '{}') AS inverse,
	count(*) FILTER (WHERE monetary(a.h || b.h || '{2010-12-01: 0}') <> a.total + b.total) AS sums
FROM history a JOIN history b ON b.i = a.i * 7 % 4371 + 1 JOIN history c ON c.i = a.i * 31 % 4371 + 1 WHERE a.customer <> b.customer;

-- one order at a time, as in the aggregate
SELECT count(*) AS customers, count(*) FILTER (WHERE added <> h) AS different FROM (
	WITH RECURSIVE o AS (SELECT customer, ordered_at::date AS day, amount,
			CASE WHEN order_id LIKE '%3' THEN NULL ELSE round(amount * 0.61, length(order_id) % 3 + customer % 5) END AS cost,
			row_number() OVER (PARTITION BY customer ORDER BY md5(order_id)) AS n FROM orders WHERE customer % 10 = 3),
		step AS (SELECT customer, 0::bigint AS n, NULL::purchase_history AS added FROM o WHERE n = 1
			UNION ALL SELECT customer, o.n, purchase_history_add(added, day, amount, cost) FROM step JOIN o USING (customer) WHERE o.n = step.n + 1)
	SELECT DISTINCT ON (customer) customer, added FROM step ORDER BY customer, n DESC) s JOIN history USING (customer);

-- add: the first order, an order that adds nothing, an unknown cost
SELECT purchase_history_add(NULL, '2025-01-01', 5) AS first, purchase_history_add('{2025-01-01: 5}', '2025-01-01', -5) AS refund,
	purchase_history_add('{2025-01-01: 5}', '2024-12-31', 0) AS free, purchase_history_add('{2025-01-01: 5}', '2025-01-01', 7.5, 3) AS cost,
	purchase_history_add('{2025-01-01: 5}', '2025-01-01', 7.5, NULL) AS unknown_cost;
SELECT purchase_history_add(NULL, NULL, 5), purchase_history_add(NULL, '2025-01-01', NULL, 3),
	purchase_history_add('{2025-01-01: 5}', NULL, 5) AS no_day, purchase_history_add('{2025-01-01: 5}', '2025-01-01', NULL) AS no_amount;

-- members of a group need not be real histories: negative amounts may come before those they are taken from
SELECT '{2025-01-01: -5 (0 orders)}'::purchase_history || '{2025-01-01: 5}' AS bought_and_returned,
	'{2025-01-01: 5 (0 orders)}'::purchase_history - '{2025-01-01: 5 (0 orders)}' AS nothing,
	'{2025-01-01: 5}'::purchase_history - '{2025-01-01: 7.25 (0 orders)}' AS below_zero,
	'{2025-01-01: 5 (cost 3)}'::purchase_history - '{2025-01-01: 5 (0 orders, cost 3)}' AS order_only;
SELECT '{2025-01-01: 5}'::purchase_history || NULL AS merge_null, '{2025-01-01: 5}'::purchase_history - NULL AS minus_null;
SELECT '{2025-01-01: 5}'::purchase_history - '{2025-01-01: 5 (2 orders)}';
SELECT '{2025-01-01: 5}'::purchase_history - '{2025-01-02: 5}';

-- equal contents are equal, group and sort as one; the order of the bytes is total
SELECT count(*) AS histories, count(DISTINCT h) AS distinct, count(DISTINCT h::text) AS distinct_texts,
	count(DISTINCT crm_profile_internal.purchase_history_hash(h)) > 4000 AS hashes, count(DISTINCT crm_profile_internal.purchase_history_hash_extended(h, 42)) > 4000 AS seeded
FROM (SELECT h FROM history UNION ALL SELECT h::text::purchase_history FROM history) x;
SELECT count(*) AS pairs, count(*) FILTER (WHERE
	(a.h = b.h) <> (a.h::text = b.h::text) OR (a.h <> b.h) = (a.h = b.h) OR (a.h < b.h) <> (b.h > a.h) OR (a.h <= b.h) <> (b.h >= a.h)
	OR (a.h < b.h) = (a.h >= b.h) OR sign(crm_profile_internal.purchase_history_cmp(a.h, b.h)) <> -sign(crm_profile_internal.purchase_history_cmp(b.h, a.h))
	OR (a.h < b.h) <> (crm_profile_internal.purchase_history_send(a.h) < crm_profile_internal.purchase_history_send(b.h)) OR (a.h = b.h) <> (crm_profile_internal.purchase_history_cmp(a.h, b.h) = 0)) AS wrong
FROM history a, history b WHERE a.i % 40 = 0 AND b.i % 40 IN (0, 1);
CREATE INDEX ON history (h);
CREATE INDEX ON history USING hash (h);
SET enable_seqscan = off;
SET enable_hashjoin = off;
SELECT count(*) FROM history a JOIN history b ON a.h = b.h WHERE a.customer = b.customer;
RESET enable_hashjoin;
SET enable_mergejoin = off;
SET enable_nestloop = off;
SELECT count(*) FROM history a JOIN history b ON a.h = b.h WHERE a.customer = b.customer;

SET client_min_messages = warning;
DROP SCHEMA history_group CASCADE;
