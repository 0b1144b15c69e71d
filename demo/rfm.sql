-- From raw orders to segments: the demo of crm_profile.  Run it by `make demo`.
\set ON_ERROR_STOP on
\pset border 1
\pset footer off
\pset null -
SET DateStyle = ISO;

\echo '================================================================================'
\echo ' 1. The orders'
\echo '================================================================================'
\echo 'One year of a British mail-order shop for gifts, as its database has it: one row'
\echo 'an order; a refund is a negative amount; some buyers are not known.'
\echo
\echo 'Data: Online Retail, Daqing Chen, UCI Machine Learning Repository, 2015,'
\echo 'doi 10.24432/C5BW33, CC BY 4.0, summed to invoices (see demo/README.md).'
\echo
\set ECHO queries
CREATE TABLE orders (
    order_id   text PRIMARY KEY,
    customer   integer,
    ordered_at timestamp NOT NULL,
    amount     numeric NOT NULL,
    country    text
);

\set ECHO none
\echo '\\copy orders FROM PROGRAM ''gzip -dc online_retail_orders.csv.gz'' CSV HEADER'
\copy orders FROM PROGRAM 'gzip -dc online_retail_orders.csv.gz' CSV HEADER
\echo
\set ECHO queries
SELECT * FROM orders WHERE customer = 12352 ORDER BY ordered_at LIMIT 6;

SELECT count(*) FILTER (WHERE amount >= 0) AS orders,
       count(*) FILTER (WHERE amount < 0) AS refunds,
       count(DISTINCT customer) AS customers,
       count(*) FILTER (WHERE customer IS NULL) AS without_customer,
       sum(amount) AS revenue
FROM orders;

\set ECHO none
\echo '================================================================================'
\echo ' 2. The purchase history: one small value a customer'
\echo '================================================================================'
\echo 'Every purchase day with its orders and its amount, exact to the cent. All the'
\echo 'rest, at whatever date, is computed from it when it is asked for.'
\echo
\set ECHO queries
CREATE EXTENSION crm_profile;
SET search_path = public, crm_profile;

CREATE TABLE history AS
SELECT customer, history
FROM collect_purchase_histories(NULL::integer,
    'SELECT customer, ordered_at, amount FROM orders');

\set ECHO none
\echo
\pset format unaligned
\pset tuples_only on
\o |fold -s -w 78
\set ECHO queries
SELECT history FROM history WHERE customer = 12352;

\set ECHO none
\o
\pset format aligned
\pset tuples_only off
\echo
\set ECHO queries
SELECT count(*) AS customers,
       sum(purchase_days(history)) AS purchase_days,
       pg_size_pretty(sum(pg_column_size(history))) AS histories,
       pg_size_pretty(pg_table_size('orders')) AS orders
FROM history;

\set ECHO none
\echo '================================================================================'
\echo ' 3. The model: where the fifths lie'
\echo '================================================================================'
\echo 'R: days since the last purchase. F: number of orders. M: amount. Customers with'
\echo 'the same value always get the same score.'
\echo
\set ECHO queries
CREATE TABLE model AS
SELECT rfm_fit(history, date '2011-12-09') AS rfm,
       compile_scheme('standard') AS scheme
FROM history;

\set ECHO none
\echo
\set ECHO queries
SELECT t.* FROM model, thresholds(rfm) AS t;

\set ECHO none
\echo '================================================================================'
\echo ' 4. Scores and segments'
\echo '================================================================================'
\echo '545 is a customer in the best fifth by recency and amount, the second by orders.'
\echo
\set ECHO queries
CREATE TABLE scored AS
SELECT customer, score, segment(score, scheme) AS segment,
       recency(history, date '2011-12-09'),
       frequency(history, date '2011-12-09'),
       monetary(history, date '2011-12-09'),
       (SELECT sum(amount) FROM purchases(history)) AS revenue
FROM history, model, rfm_score(history, rfm, date '2011-12-09') AS score;

\set ECHO none
\echo
\set ECHO queries
WITH line AS (
    SELECT coalesce(s.segment, '(refunds only)') AS segment, position,
           count(*) AS customers,
           sum(revenue) AS revenue,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY recency) AS days,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY frequency) AS orders,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY monetary) AS amount
    FROM scored AS s LEFT JOIN
        (SELECT g.* FROM model, segments(scheme) AS g) AS g USING (segment)
    GROUP BY s.segment, position
    UNION ALL
    SELECT '(not known)', NULL, 0, sum(amount), NULL, NULL, NULL
    FROM orders WHERE customer IS NULL
), total AS (
    SELECT sum(customers) AS customers, sum(revenue) AS revenue FROM line
)
SELECT segment,
       l.customers, round(100 * l.customers / t.customers) AS "%",
       round(l.revenue) AS revenue, round(100 * l.revenue / t.revenue) AS "%",
       days, orders, round(amount) AS amount
FROM (SELECT * FROM line UNION ALL
      SELECT 'Total', 99, customers, revenue, NULL, NULL, NULL FROM total) AS l,
     total AS t
ORDER BY coalesce(position, 98), l.revenue;

\set ECHO none
\echo 'Days since the last purchase, orders and amount: medians of the customers.'
\echo 'Nobody is lost on the way; plain sums over the orders give the same totals:'
\echo
\set ECHO queries
SELECT count(DISTINCT customer) AS customers, round(sum(amount)) AS revenue
FROM orders;

\set ECHO none
\echo '================================================================================'
\echo ' 5. The grid: customers by recency and frequency'
\echo '================================================================================'
\echo
\set ECHO queries
SELECT r_score(score) AS "R \ F",
       count(*) FILTER (WHERE f_score(score) = 1) AS "1",
       count(*) FILTER (WHERE f_score(score) = 2) AS "2",
       count(*) FILTER (WHERE f_score(score) = 3) AS "3",
       count(*) FILTER (WHERE f_score(score) = 4) AS "4",
       count(*) FILTER (WHERE f_score(score) = 5) AS "5",
       count(*) AS customers
FROM scored WHERE score IS NOT NULL
GROUP BY r_score(score) ORDER BY r_score(score) DESC;

\set ECHO none
\echo 'A third of the customers ordered once. They all have F = 1; a cut into five'
\echo 'equal parts (NTILE) would have given them 1 or 2 by chance.'
\echo
\echo '================================================================================'
\echo ' 6. The ten best customers'
\echo '================================================================================'
\echo
\set ECHO queries
SELECT customer, score, segment, recency AS days, frequency AS orders,
       monetary AS amount,
       round(average_order_value(history), 2) AS per_order,
       round(mean_gap(history)::numeric, 1) AS gap
FROM scored JOIN history USING (customer)
WHERE score IS NOT NULL
ORDER BY score DESC, monetary DESC, customer LIMIT 10;

\set ECHO none
\echo 'Gap: mean number of days from one purchase to the next.'
\echo
\echo '================================================================================'
\echo ' 7. The same at any date: what became of the segments of three months ago?'
\echo '================================================================================'
\echo 'No snapshot was kept: the histories answer for every past day.'
\echo
\set ECHO queries
CREATE TABLE past AS
SELECT rfm_fit(history, date '2011-09-09') AS rfm FROM history;

\set ECHO none
\echo
\set ECHO queries
WITH was AS (
    SELECT customer, segment(score, scheme) AS segment,
           frequency(history, date '2011-12-09', '91 days') AS orders,
           monetary(history, date '2011-12-09', '91 days') AS amount
    FROM history, past, model,
         rfm_score(history, past.rfm, date '2011-09-09') AS score
)
SELECT coalesce(was.segment, '(no customer yet)') AS "on 9 September",
       count(*) AS customers,
       count(*) FILTER (WHERE orders > 0) * 100 / count(*) AS "% bought",
       round(avg(amount)) AS "spent since",
       mode() WITHIN GROUP (ORDER BY now.segment) AS "most are now"
FROM was JOIN scored AS now USING (customer) LEFT JOIN
    (SELECT g.* FROM model, segments(scheme) AS g) AS g
    ON g.segment = was.segment
GROUP BY was.segment, position ORDER BY position;

\set ECHO none
\echo '================================================================================'
\echo ' 8. All of it in one call, straight from the orders'
\echo '================================================================================'
\echo
\set ECHO queries
SELECT customer, recency, frequency, monetary, cell, segment
FROM rfm_scores(NULL::integer,
    'SELECT customer, ordered_at, amount FROM orders',
    as_of => date '2011-12-09')
ORDER BY cell DESC NULLS LAST, monetary DESC, customer LIMIT 3;

\set ECHO none
\echo 'What to do with whom:'
\echo
\pset format unaligned
\pset tuples_only on
\pset fieldsep ': '
\o |fold -s -w 78
\set ECHO queries
SELECT segment, strategy FROM scheme_rule
WHERE scheme = 'standard' ORDER BY position;

\set ECHO none
\o
\echo
