SELECT count(history) FROM collect_purchase_histories(NULL::bigint, 'SELECT customer_id, ordered_at, amount FROM orders') \g /dev/null
