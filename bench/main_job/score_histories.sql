CREATE TEMPORARY TABLE scored AS
SELECT customer, score AS cell, segment(score, (SELECT compile_scheme('standard'))) AS segment
FROM (
	SELECT customer, rfm_score(history, (SELECT rfm_fit(history, :'as_of') FROM histories), :'as_of') AS score
	FROM histories
	OFFSET 0	-- a score is computed once, not for each use of it
) AS s;
