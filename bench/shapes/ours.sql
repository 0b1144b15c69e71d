CREATE TEMPORARY TABLE scored AS
SELECT * FROM rfm_scores(NULL:::key, :'query', :'as_of':more);
