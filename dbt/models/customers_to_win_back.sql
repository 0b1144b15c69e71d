-- customers who were worth much and are slipping away, the most valuable first
SELECT customer, segment, recency, p_purchase_90d, clv_365d, as_of
FROM {{ source('crm_profile', 'customer_profile') }}
WHERE lifecycle = 'lapsing' AND predicted_tier = 'A'
