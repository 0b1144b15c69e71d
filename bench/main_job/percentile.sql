-- The same scores as the extension's in plain SQL: type-7 quantiles, ties never split
CREATE TEMPORARY TABLE scored AS
WITH facts AS MATERIALIZED (
	SELECT customer_id, date :'as_of' - max(ordered_at)::date AS recency, count(*) AS frequency, sum(amount) AS monetary
	FROM orders
	GROUP BY customer_id
), breaks AS MATERIALIZED (
	SELECT percentile_cont('{0.2,0.4,0.6,0.8}'::float8[]) WITHIN GROUP (ORDER BY recency) AS r,
		percentile_cont('{0.2,0.4,0.6,0.8}'::float8[]) WITHIN GROUP (ORDER BY frequency) AS f,
		percentile_cont('{0.2,0.4,0.6,0.8}'::float8[]) WITHIN GROUP (ORDER BY monetary) AS m
	FROM facts
), scores AS (
	SELECT facts.*,
		CASE WHEN recency <= b.r[1] THEN 5 WHEN recency <= b.r[2] THEN 4 WHEN recency <= b.r[3] THEN 3 WHEN recency <= b.r[4] THEN 2 ELSE 1 END AS r,
		CASE WHEN frequency <= b.f[1] THEN 1 WHEN frequency <= b.f[2] THEN 2 WHEN frequency <= b.f[3] THEN 3 WHEN frequency <= b.f[4] THEN 4 ELSE 5 END AS f,
		CASE WHEN monetary <= b.m[1] THEN 1 WHEN monetary <= b.m[2] THEN 2 WHEN monetary <= b.m[3] THEN 3 WHEN monetary <= b.m[4] THEN 4 ELSE 5 END AS m
	FROM facts, breaks AS b
	OFFSET 0
)
SELECT customer_id AS customer, recency, frequency, monetary, r, f, m, (r * 100 + f * 10 + m)::text AS cell,
	CASE
		WHEN r * 100 + f * 10 + m IN (555, 554, 544, 545, 454, 455, 445) THEN 'Champions'
		WHEN r * 100 + f * 10 + m IN (543, 444, 435, 355, 354, 345, 344, 335) THEN 'Loyal'
		WHEN r * 100 + f * 10 + m IN (553, 552, 551, 542, 541, 533, 532, 531, 453, 452, 451, 442, 441, 433, 432, 431, 423, 353, 352, 351, 342, 341, 333, 323) THEN 'Potential Loyalist'
		WHEN r * 100 + f * 10 + m IN (512, 511, 422, 421, 412, 411, 311) THEN 'New'
		WHEN r * 100 + f * 10 + m IN (525, 524, 523, 522, 521, 515, 514, 513, 425, 424, 415, 414, 413, 315, 314, 313) THEN 'Promising'
		WHEN r * 100 + f * 10 + m IN (535, 534, 443, 434, 343, 334, 325, 324) THEN 'Need Attention'
		WHEN r * 100 + f * 10 + m IN (331, 321, 312, 221, 213) THEN 'About To Sleep'
		WHEN r * 100 + f * 10 + m IN (255, 254, 253, 252, 245, 244, 243, 242, 235, 234, 225, 224, 153, 152, 143, 142, 135, 134, 133, 125, 124) THEN 'At Risk'
		WHEN r * 100 + f * 10 + m IN (155, 154, 145, 144) THEN 'Can''t Lose'
		WHEN r * 100 + f * 10 + m IN (332, 322, 251, 241, 233, 232, 231, 223, 222, 215, 214, 212, 211, 132, 123, 122, 115, 114, 113) THEN 'Hibernating'
		WHEN r * 100 + f * 10 + m IN (151, 141, 131, 121, 112, 111) THEN 'Lost'
	END AS segment
FROM scores;
