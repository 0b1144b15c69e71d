-- Twenty columns, some of them text and NULL, the amount near the end
CREATE SCHEMA wide;
CREATE TABLE wide.orders AS SELECT order_id, 'web'::text AS channel, order_id % 7 AS shop, NULL::text AS voucher, customer_id, 'EUR'::char(3) AS currency,
	ordered_at, ordered_at + interval '2 hours' AS paid_at, nullif(order_id % 5, 0) AS carrier, 'DHL ' || order_id AS parcel, status,
	order_id % 3 = 0 AS gift, 'Musterweg ' || order_id % 99 AS street, '10115'::text AS postcode, 'Berlin'::text AS city, round(amount * 0.19, 2) AS tax,
	NULL::numeric AS discount, 4.90::numeric AS shipping, amount, NULL::text AS note FROM public.orders;
