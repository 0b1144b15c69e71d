-- bulk functions: from a query of orders to histories, or straight to scores

CREATE FUNCTION crm_profile.collect_purchase_histories(key anyelement, query text, progress text DEFAULT NULL, amount_scale integer DEFAULT NULL,
	OUT customer anyelement, OUT history crm_profile.purchase_history)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000 SUPPORT crm_profile_internal.row_stream_support; -- the purchase history of every customer in a query of orders (customer, day or time stamp, amount [, cost] [, order_key]); the first argument is a NULL of the customers' type; progress begins INFO messages every few seconds: rows read, histories made, and their rates; amount_scale: decimals that amounts are rounded to, needed for floats

CREATE FUNCTION crm_profile.rfm_scores(key anyelement, query text, as_of date,
	bins integer DEFAULT 5, period interval DEFAULT NULL, scheme text DEFAULT 'standard', amount_scale integer DEFAULT NULL,
	OUT customer anyelement, OUT recency integer, OUT frequency bigint, OUT monetary numeric,
	OUT r_score integer, OUT f_score integer, OUT m_score integer, OUT cell text, OUT segment text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000 ROWS 100000 SUPPORT crm_profile_internal.row_stream_support; -- recency (days), frequency, monetary value, scores and segment of every customer in a query of orders, at the as-of date; the first argument is a NULL of the customers' type, scheme => NULL leaves out the segments; amount_scale: decimals that amounts are rounded to, needed for floats
