-- customers and revenue by segment
SELECT segment, customers, customer_share, monetary, monetary_share, predicted_value
FROM {{ source('crm_profile', 'segment_summary_details') }}
