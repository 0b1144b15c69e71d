SET max_parallel_workers_per_gather = 1;
\i main_job/count_histories.sql
