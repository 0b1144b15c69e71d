CREATE TEMPORARY TABLE histories AS
SELECT * FROM collect_purchase_histories(NULL::bigint, 'SELECT customer_id, ordered_at, amount FROM orders');
\i main_job/score_histories.sql
