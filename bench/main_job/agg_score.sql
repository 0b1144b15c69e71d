\i main_job/agg.sql
\i main_job/score_histories.sql
