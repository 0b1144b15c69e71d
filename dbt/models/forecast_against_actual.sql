-- what forecasts said of each month, and what came
SELECT month, sum(expected_value) AS expected_value, sum(actual_value) AS actual_value
FROM {{ source('crm_profile', 'forecast_tracking') }}
GROUP BY month
