\i main_job/percentile.sql
