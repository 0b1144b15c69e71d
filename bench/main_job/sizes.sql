INSERT INTO size
SELECT :orders, count(*), sum(pg_column_size(history)), pg_table_size('orders'), pg_table_size('stored_history'), pg_indexes_size('stored_history')
FROM stored_history;
DROP TABLE orders, stored_history, stored_model;
