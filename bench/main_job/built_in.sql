CREATE TEMPORARY TABLE facts AS
SELECT customer_id, count(*), max(ordered_at), sum(amount) FROM orders GROUP BY customer_id;
