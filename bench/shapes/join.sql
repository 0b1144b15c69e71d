SELECT count(customer_id), count(ordered_at), count(l.amount), count(order_id) FROM line l JOIN header USING (order_id) \g /dev/null
