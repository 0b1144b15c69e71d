SELECT count(segment) FROM rfm_scores(NULL::bigint, 'SELECT customer_id, ordered_at, amount FROM orders', :'as_of') \g /dev/null
