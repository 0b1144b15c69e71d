SET search_path = public, crm_profile;
CREATE TABLE stored_history AS
SELECT * FROM collect_purchase_histories(NULL::bigint, 'SELECT customer_id, ordered_at, amount FROM orders');
ALTER TABLE stored_history ADD PRIMARY KEY (customer);
VACUUM (FREEZE, ANALYZE) stored_history;
CREATE TABLE stored_model AS SELECT rfm_fit(history, :'as_of') AS model FROM stored_history;
