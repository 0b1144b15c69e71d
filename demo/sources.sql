-- A source over the demo's orders, after rfm.sql and in its database
\set ON_ERROR_STOP on
\pset border 1
\pset footer off
\pset null -
SET DateStyle = ISO;
SET client_min_messages = warning;
\echo
\echo '================================================================================'
\echo ' 9. A source: tables mapped once, refreshed, and read through views'
\echo '================================================================================'
\echo 'What is left out is found in the catalogue.'
\echo
\set ECHO queries
CREATE TABLE customers AS
SELECT customer, min(country) AS country
FROM orders WHERE customer IS NOT NULL GROUP BY customer;

ALTER TABLE customers ADD PRIMARY KEY (customer);

SELECT * FROM crm_profile.create_source('shop', 'customers', 'orders',
                                        as_of => '2011-12-09');

SELECT * FROM crm_profile.refresh('shop');

SELECT segment, customers, round(100 * customer_share::numeric) AS "% of them",
       round(monetary) AS revenue, round(100 * monetary_share::numeric) AS "% of it"
FROM shop.segment_summary_details;

SELECT lifecycle, value_tier, count(*), round(sum(monetary)) AS revenue
FROM shop.customer_profile GROUP BY 1, 2 ORDER BY 1, 2;

SELECT from_segment, to_segment, customers, round(100 * share::numeric) AS "%"
FROM shop.segment_migration
WHERE from_segment <> to_segment ORDER BY customers DESC LIMIT 5;

\echo 'Who is valuable by prediction, and has become less likely to buy?'
\echo
SELECT customer, recency, round(mean_gap) AS gap,
       round(p_purchase_90d::numeric, 3) AS p_purchase,
       round(expected_purchases_90d::numeric, 1) AS "next 90 days",
       round(clv_365d) AS clv_365d
FROM shop.customer_profile
WHERE predicted_tier = 'A' AND lifecycle = 'lapsing'
ORDER BY clv_365d DESC NULLS LAST LIMIT 5;

SELECT segment, customers, round(monetary) AS revenue,
       round(predicted_value) AS "next year",
       round(100 * predicted_value_share::numeric) AS "% of it"
FROM shop.segment_summary_details;

\echo 'The models behind it, and how good a forecast of the last 90 days would have'
\echo 'been:'
\echo
SELECT section, item, value, round(standard_error::numeric, 3) AS "s.e."
FROM shop.model_card_details
WHERE section IN ('purchases', 'holdout');

SELECT * FROM crm_profile.check_source('shop');
