-- The panels of the ready-made dashboards, for tools/make-dashboards: kind, width of 24, title; columns and query below. Kinds: stat, bar, line, heat, table.
-- shop stands for the source.

-- stat 6: Customers
SELECT sum(customers) AS customers FROM shop.segment_summary_details;

-- stat 6: Revenue
SELECT sum(monetary) AS revenue FROM shop.segment_summary_details;

-- stat 6: Expected in 90 days
SELECT expected FROM shop.revenue_forecast WHERE part = 'total';

-- stat 6: Findings in the data
SELECT count(*) AS findings FROM shop.data_quality WHERE severity IN ('error', 'warning');

-- bar 12: Revenue by segment
SELECT segment, monetary AS revenue FROM shop.segment_summary_details ORDER BY monetary DESC;

-- bar 12: Customers by segment
SELECT segment, customers FROM shop.segment_summary_details WHERE customers > 0 ORDER BY customers DESC;

-- line 16: Revenue of returning customers by month, forecast and actual
SELECT month::timestamp AS time, sum(expected_value) AS forecast, sum(actual_value) AS actual FROM shop.forecast_tracking GROUP BY month ORDER BY month;

-- table 8: The next 90 days
SELECT part, expected, lower, upper FROM shop.revenue_forecast;

-- heat 12: Customers by recency and frequency score
SELECT 'R ' || r_score AS recency, sum(customers) FILTER (WHERE f_score = 1) AS "F 1", sum(customers) FILTER (WHERE f_score = 2) AS "F 2", sum(customers) FILTER (WHERE f_score = 3) AS "F 3",
	sum(customers) FILTER (WHERE f_score = 4) AS "F 4", sum(customers) FILTER (WHERE f_score = 5) AS "F 5" FROM shop.rfm_grid GROUP BY r_score ORDER BY r_score DESC;

-- bar 12: Orders by weekday
SELECT (ARRAY['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'])[weekday] AS weekday, sum(orders) AS orders FROM shop.purchase_calendar GROUP BY purchase_calendar.weekday ORDER BY purchase_calendar.weekday;

-- table 12: Who moved between segments in 90 days
SELECT from_segment, to_segment, customers FROM shop.segment_migration WHERE from_segment <> to_segment ORDER BY customers DESC LIMIT 50;

-- table 12: Valuable, and slipping away
SELECT customer, segment, recency, p_purchase_90d, clv_365d FROM shop.customer_profile WHERE lifecycle = 'lapsing' AND predicted_tier = 'A' ORDER BY clv_365d DESC NULLS LAST LIMIT 50;

-- table 24: What is amiss in the data
SELECT finding, severity, rows, customers_changed, advice FROM shop.data_quality;
