-- A partition a month
CREATE SCHEMA partitioned;
CREATE TABLE partitioned.orders (LIKE public.orders) PARTITION BY RANGE (ordered_at);
SELECT format('CREATE TABLE partitioned.%I PARTITION OF partitioned.orders FOR VALUES FROM (%L) TO (%L)', 'o' || to_char(m, 'YYYYMM'), m, m + interval '1 month')
FROM generate_series(timestamp '2023-01-01', '2025-12-31', '1 month') m \gexec
INSERT INTO partitioned.orders SELECT * FROM public.orders;
