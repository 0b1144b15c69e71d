-- alter_source: every argument can be changed, nothing else changes with it, and objects on top of the views stay
SET datestyle = ISO;
SET intervalstyle = postgres;
SET client_min_messages = warning;
SET jit = off;
\set SHOW_CONTEXT never
CREATE SCHEMA shop;
SET search_path = shop;
CREATE TABLE client (id varchar(5) PRIMARY KEY, other_id varchar(5) NOT NULL UNIQUE, country text);
CREATE VIEW foreigner AS SELECT * FROM client WHERE country <> 'AT';
INSERT INTO client SELECT 'c ' || i, 'o ' || i, CASE WHEN i % 3 = 0 THEN 'AT' ELSE 'DE' END FROM generate_series(1, 60) i;
CREATE TABLE sale (id int, client_id varchar(5) REFERENCES client, other_id varchar(5), sold_at timestamptz, paid_on date, total numeric(9,3), net numeric(9,3), cost numeric(9,3), doc int);
INSERT INTO sale SELECT i, 'c ' || 1 + i % 50, 'o ' || 1 + i % 40, timestamptz '2025-01-01 22:30Z' + i * interval '5 hours', date '2025-01-03' + i / 5, i % 97 + 0.125, i % 89, i % 7, i % 50 * 100 + i / 100 FROM generate_series(1, 1000) i;
CREATE VIEW big_sale AS SELECT * FROM sale WHERE total > 20;
CREATE TABLE visit (client varchar(5), at timestamptz, noted date);
INSERT INTO visit VALUES ('c 55', '2025-06-01Z', '2025-05-01'), ('c 56', '2025-09-01Z', '2025-09-01'), ('c 57', '2025-09-30 22:30Z', '2025-10-01');
INSERT INTO crm_profile.scheme (name, bins, description) VALUES ('three', 3, 'for this test');
INSERT INTO crm_profile.scheme_rule (scheme, segment, r_from, r_to) VALUES ('three', 'Awake', 2, NULL), ('three', 'Asleep', NULL, 1);
SELECT count(*) FROM crm_profile.create_source('s', 'client', 'sale', customer_key => 'id', ordered_at => 'sold_at', amount => 'total', as_of => '2025-08-01', time_zone => 'UTC');
SELECT orders, customers FROM crm_profile.refresh('s');
CREATE VIEW mine AS SELECT p.customer, p.frequency, p.monetary, p.profit, p.segment, p.lifecycle, p.value_tier, s.strategy FROM s.customer_profile p LEFT JOIN s.segment_summary_details s USING (segment);

-- altered(call): what has changed in the definition, and a sum over the user's view after a refresh
CREATE FUNCTION altered(arguments text) RETURNS TABLE (argument text, was text, became text, shown text) LANGUAGE plpgsql AS $$
DECLARE
	before jsonb := (SELECT to_jsonb(s) FROM crm_profile.sources_details s);
BEGIN
	EXECUTE format('SELECT crm_profile.alter_source(''s'', %s)', arguments);
	PERFORM crm_profile.refresh('s');
	RETURN QUERY
		SELECT n.key, o.value, n.value, CASE WHEN row_number() OVER (ORDER BY n.key COLLATE "C") = 1 THEN
			(SELECT format('%s customers, %s orders, %s, profit %s, %s potential', count(*), sum(frequency), sum(monetary), sum(profit), count(*) FILTER (WHERE lifecycle = 'potential')) FROM shop.mine) END
		FROM jsonb_each_text((SELECT to_jsonb(s) FROM crm_profile.sources_details s)) n JOIN jsonb_each_text(before) o USING (key)
		WHERE o.value IS DISTINCT FROM n.value
			AND n.key NOT IN ('last_refresh', 'refresh_seconds', 'refresh_phases', 'orders_read', 'customers_with_history', 'newest_order', 'warning') ORDER BY n.key COLLATE "C";
END $$;

-- expected results
SELECT (SELECT count(*) FROM foreigner) AS foreigners, (SELECT count(*) FROM sale JOIN foreigner f ON f.id = client_id) AS of_them, (SELECT count(*) FROM big_sale) AS big,
	(SELECT sum(total) FROM sale WHERE id <= 100) AS first_hundred, sum(net) AS net, sum(round(total, 1)) AS rounded, sum(round(total, 1) - round(cost, 1)) AS profit,
	count(DISTINCT (client_id, doc)) AS docs, count(DISTINCT (client_id, doc)) FILTER (WHERE id > 500) AS later_docs FROM sale;
SELECT * FROM altered($$ customers => 'foreigner' $$);
SELECT * FROM altered($$ customers => 'client' $$);
SELECT * FROM altered($$ orders => 'big_sale', order_customer => 'client_id' $$);
SELECT * FROM altered($$ orders => 'SELECT * FROM sale WHERE id <= 100' $$);
SELECT * FROM altered($$ orders => 'sale' $$);
SELECT * FROM altered($$ customer_key => 'other_id', order_customer => 'other_id' $$);
SELECT * FROM altered($$ reset => '{customer_key,order_customer}' $$);
SELECT * FROM altered($$ ordered_at => 'paid_on' $$);
SELECT * FROM altered($$ ordered_at => 'sold_at', time_zone => 'Pacific/Auckland' $$);
SELECT * FROM altered($$ amount => 'net' $$);
SELECT * FROM altered($$ amount => 'total', amount_scale => 1 $$);
SELECT * FROM altered($$ cost => 'cost', tier_by => 'profit' $$);
SELECT * FROM altered($$ order_key => 'doc' $$);
SELECT * FROM altered($$ order_filter => 'id > 500' $$);
SELECT * FROM altered($$ period => '30 days' $$);
SELECT * FROM altered($$ active_days => 10 $$);
SELECT * FROM altered($$ as_of => '2025-09-30' $$);
-- one of the three is from the next day in the source's time zone
SELECT * FROM altered($$ interactions => 'visit', interaction_customer => 'client', interacted_at => 'at' $$);
SELECT * FROM altered($$ interacted_at => 'noted', as_of => '2025-08-01' $$);
SELECT * FROM altered($$ attributes => '{country,home = country = ''AT''}' $$);
SELECT * FROM altered($$ scheme => 'three' $$);
SELECT segment, count(*) FROM mine GROUP BY segment ORDER BY segment COLLATE "C";
SELECT * FROM altered($$ scheme => 'standard' $$);
SELECT * FROM altered($$ materialize => true $$);
-- everything optional can be reset to what it is when left out
SELECT * FROM altered($$ materialize => false, tier_by => 'monetary', time_zone => 'UTC', as_of => '2025-08-01',
	reset => '{cost,order_key,order_filter,amount_scale,attributes,interactions,interaction_customer,interacted_at,bins,period,active_days}' $$);
-- what cannot be reset: nothing has changed
SELECT crm_profile.alter_source('s', customer_key => 'country', order_customer => 'doc');
SELECT crm_profile.alter_source('s', orders => 'nothing');
SELECT crm_profile.alter_source('s', bins => 3);
SELECT crm_profile.alter_source('s', reset => '{ordered_at,amount}');
SELECT * FROM altered($$ bins => 5 $$);

SELECT crm_profile.drop_source('s', cascade => true);
DELETE FROM crm_profile.scheme WHERE name = 'three';
DROP SCHEMA shop CASCADE;
