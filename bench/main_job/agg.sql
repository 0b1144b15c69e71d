CREATE TEMPORARY TABLE histories AS
SELECT customer_id AS customer, purchase_history_agg(ordered_at, amount) AS history FROM orders GROUP BY customer_id;
