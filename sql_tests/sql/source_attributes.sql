-- Attributes in the model of repeat purchase of a source: used where they improve forecasts of the past, and read only by those who may
SET datestyle = ISO;
SET intervalstyle = postgres;
SET client_min_messages = warning;
-- thousands of small statements, and views of a hundred expressions: JIT would take most of the time
SET jit = off;
\set SHOW_CONTEXT never
CREATE SCHEMA given;
SET search_path = given;
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/fixtures/gamma_variate.sql'
\i :fixture
-- 1500 customers of three years, four of ten with a subscription, who buy three times as often and leave after one purchase in twenty in place of one in two; regions are noise
CREATE TABLE client (id int PRIMARY KEY, subscribed boolean, region text, age int);
CREATE TABLE sale (client int, day date, amount numeric);
CREATE PROCEDURE simulate(customers int) LANGUAGE plpgsql AS $$
DECLARE
	at float8;
	rate float8;
	subscribed boolean;
BEGIN
	FOR i IN 1 .. customers LOOP
		subscribed := random() < 0.4;
		INSERT INTO client VALUES (i, subscribed, (ARRAY['north', 'south', 'east', 'west'])[1 + floor(random() * 4)], 18 + floor(random() * 60));
		at := floor(random() * 1000);
		rate := gamma_variate(2) / 120 * CASE WHEN subscribed THEN 3 ELSE 1 END;
		LOOP
			INSERT INTO sale VALUES (i, date '2022-01-01' + floor(at)::int, 10 + floor(random() * 20));
			EXIT WHEN random() < CASE WHEN subscribed THEN 0.05 ELSE 0.5 END;
			at := at - ln(1 - random()) / rate;
			EXIT WHEN at > 1095;
		END LOOP;
	END LOOP;
END $$;
SELECT setseed(0.5);
CALL simulate(1500);
SELECT count(*) AS names FROM crm_profile.create_source('shop', 'client', 'sale', order_customer => 'client', amount => 'amount', as_of => '2024-12-31', attributes => '{subscribed,region,age}');
-- views are made anew as the attributes come into use, which tells nobody anything
SET client_min_messages = notice;
SELECT orders > 0 AS refreshed FROM crm_profile.refresh('shop');
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
SET client_min_messages = warning;
SELECT value FROM shop.model_card_details WHERE item = 'attributes';
SELECT attributes_gain > 2 * attributes_error AS earned FROM shop.model;
-- the planted effect is found: ln 3 on the rate of purchases
SELECT part, parameter, abs(estimate - ln(3)) < 0.3 AS planted, estimate < -1 AS stays FROM shop.model, crm_profile.clv_parameters(clv) WHERE parameter = 'subscribed' ORDER BY part;
-- every figure uses the customer's own attributes
SELECT count(*) AS customers, count(*) FILTER (WHERE (p.p_purchase, p.expected_purchases_90d, p.clv_365d, p.lifecycle) IS DISTINCT FROM (crm_profile.probability_of_purchase(h.history, m.clv, '2024-12-31', '90 days', r),
	crm_profile.expected_purchases(h.history, m.clv, '2024-12-31', '90 days', r), crm_profile.clv(h.history, m.clv, '2024-12-31', '365 days', 0.01, r),
	crm_profile.lifecycle(h.history, '2024-12-31', m.active_days, crm_profile.with_attributes(m.clv, r)))) AS differences
FROM shop.customer_profile p JOIN shop.customer_history h USING (customer) JOIN client c ON c.id = p.customer, LATERAL (SELECT c.subscribed, c.region, c.age) r, shop.model m;
SELECT abs(f.expected - sum(crm_profile.expected_purchases(h.history, m.clv, '2024-12-31', '90 days', r) * crm_profile.expected_value(h.history, m.clv, '2024-12-31', true))) < 0.01 AS revenue
FROM shop.revenue_forecast f, shop.customer_history h JOIN client c ON c.id = h.customer, LATERAL (SELECT c.subscribed, c.region, c.age) r, shop.model m WHERE f.part = 'customers so far' GROUP BY f.expected;
SELECT count(*) FILTER (WHERE value_tier IS NOT NULL AND predicted_tier IS NULL) AS without_tier, count(DISTINCT predicted_tier) AS tiers FROM shop.customer_profile;
-- other ways to the same rows: a day, a table
CREATE TABLE live AS SELECT * FROM shop.customer_profile;
SELECT count(*) AS differences FROM live l FULL JOIN shop.profile_as_of('2024-12-31') p USING (customer) WHERE l.* IS DISTINCT FROM p.*;
SELECT count(*) AS differences FROM unnest('{1,2,3}'::int[]) k, crm_profile.profile_now_details('shop', k) n JOIN live l ON l.customer = n.customer::int WHERE (n.lifecycle, n.p_purchase, n.clv_365d) IS DISTINCT FROM (l.lifecycle, l.p_purchase, l.clv_365d);
-- what is due goes by them, too
SELECT count(*) > 20 AS many, count(*) FILTER (WHERE crm_profile.lifecycle(h.history, d.since, m.active_days, o.clv) NOT IN ('lapsing', 'inactive') OR crm_profile.lifecycle(h.history, d.since - 1, m.active_days, o.clv) IN ('lapsing', 'inactive')) AS wrong,
	count(*) FILTER (WHERE d.value IS DISTINCT FROM crm_profile.clv(h.history, m.clv, crm_profile.last_purchase(h.history, d.since), '365 days', 0.01, r)) AS differences
FROM shop.due_actions('2024-12-31', 30) d JOIN shop.customer_history h USING (customer) JOIN client c ON c.id = d.customer, LATERAL (SELECT c.subscribed, c.region, c.age) r, shop.model m, LATERAL (SELECT crm_profile.with_attributes(m.clv, r) AS clv OFFSET 0) o WHERE d.action = 'lapse_alarm';
SELECT crm_profile.alter_source('shop', materialize => true);
SELECT orders > 0 AS refreshed FROM crm_profile.refresh('shop');
SELECT count(*) AS differences FROM live l FULL JOIN shop.customer_profile p USING (customer) WHERE l.* IS DISTINCT FROM p.*;
SELECT crm_profile.alter_source('shop', materialize => false);

-- ---------------------------------------------------------------- readers see decisions only
CREATE ROLE regress_given_reader;
GRANT USAGE ON SCHEMA shop, given TO regress_given_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO regress_given_reader;
-- the key alone: what attributes do was found by the refresh
GRANT SELECT (id) ON client TO regress_given_reader;
SET ROLE regress_given_reader;
SELECT count(*) AS customers, count(DISTINCT round(p.clv_365d)) > 20 AS told FROM shop.customer_profile p;
SELECT subscribed FROM client LIMIT 1;
SELECT count(*) AS effects FROM shop.customer_effect;
SELECT count(*) AS models FROM shop.model;
SELECT clv::text ~ 'attributes|effect|subscribed' AS words FROM shop.model_in_use;
SELECT count(*) AS effects FROM shop.model_card_details WHERE item ~ 'subscribed' OR note ~ 'subscribed';
RESET ROLE;
-- whom the reader does not see in the customer table has no effects for the reader, either
ALTER TABLE client ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON client FOR SELECT USING (id <= 100);
SET ROLE regress_given_reader;
SELECT count(*) AS effects, bool_and(customer <= 100) AS visible FROM shop.customer_effect;
RESET ROLE;
ALTER TABLE client DISABLE ROW LEVEL SECURITY;

-- ---------------------------------------------------------------- attributes that change, customers who come and go: at the next refresh, with and without change tracking
CREATE FUNCTION differences() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM shop.customer_profile p JOIN shop.customer_history h USING (customer) JOIN client c ON c.id = p.customer, LATERAL (SELECT c.subscribed, c.region, c.age) r, shop.model m
	WHERE m.id = (SELECT max(id) FROM shop.model) AND (p.p_purchase, p.expected_purchases_90d, p.clv_365d) IS DISTINCT FROM (crm_profile.probability_of_purchase(h.history, m.clv, '2024-12-31', '90 days', r),
		crm_profile.expected_purchases(h.history, m.clv, '2024-12-31', '90 days', r), crm_profile.clv(h.history, m.clv, '2024-12-31', '365 days', 0.01, r)) $$;
UPDATE client SET subscribed = NOT subscribed WHERE id <= 10;
SELECT differences() > 0 AS not_yet;
SELECT orders > 0 AS refreshed FROM crm_profile.refresh('shop');
SELECT differences();
SELECT crm_profile.alter_source('shop', track_changes => 'keys');
SELECT orders > 0 AS refreshed FROM crm_profile.refresh('shop');
UPDATE client SET age = 77, subscribed = NOT subscribed WHERE id BETWEEN 11 AND 15;
INSERT INTO client VALUES (2001, true, 'south', 30);
INSERT INTO sale VALUES (2001, '2024-12-01', 10), (2001, '2024-12-20', 10);
DELETE FROM sale WHERE client = 20;
SELECT customers_written, customers_removed FROM crm_profile.refresh('shop');
SELECT differences(), count(*) FILTER (WHERE customer = 2001) AS came, count(*) FILTER (WHERE customer = 20) AS gone FROM shop.customer_effect;
SELECT histories_deleted FROM crm_profile.forget_customer('shop', 21);
SELECT count(*) AS forgotten FROM shop.customer_effect WHERE customer = 21;
SELECT crm_profile.alter_source('shop', track_changes => 'none');

-- ---------------------------------------------------------------- other attributes count from the next refresh on: until then, predictions are those of the model in use
SELECT orders > 0 AS refreshed FROM crm_profile.refresh('shop');
CREATE TABLE former AS SELECT * FROM shop.customer_profile;
SELECT count(DISTINCT round(expected_purchases_90d::numeric, 6)) > 20 AS told, differences() FROM former;
SELECT crm_profile.alter_source('shop', attributes => a) FROM (VALUES ('{age,region,subscribed}'::text[]), ('{subscribed}'), ('{subscribed,region,age,young = age < 30}')) v(a);
SELECT count(*) AS differences FROM former f FULL JOIN shop.customer_profile p USING (customer) WHERE f.* IS DISTINCT FROM p.*;
SELECT crm_profile.alter_source('shop', reset => '{attributes}');
SELECT count(*) AS differences FROM former f FULL JOIN shop.customer_profile p USING (customer) WHERE f.* IS DISTINCT FROM p.*;
SELECT value FROM shop.model_card_details WHERE item = 'attributes';
-- the refresh fits anew, with another attribute
SELECT crm_profile.alter_source('shop', attributes => '{subscribed,young = age < 30}');
SELECT orders > 0 AS refreshed FROM crm_profile.refresh('shop');
SELECT count(*) FILTER (WHERE p.expected_purchases_90d IS DISTINCT FROM crm_profile.expected_purchases(h.history, m.clv, '2024-12-31', '90 days', r)) AS differences, count(p.expected_purchases_90d) > 1000 AS many
FROM shop.customer_profile p JOIN shop.customer_history h USING (customer) JOIN client c ON c.id = p.customer, LATERAL (SELECT c.subscribed, c.age < 30 AS young) r, (SELECT clv FROM shop.model ORDER BY id DESC LIMIT 1) m;

-- ---------------------------------------------------------------- noise alone is not used, nor are attributes of a named model
SELECT crm_profile.alter_source('shop', attributes => '{region,age}');
-- until the next refresh without them
SELECT count(*) AS customers, count(p_purchase) AS told FROM shop.customer_profile;
SELECT orders > 0 AS refreshed FROM crm_profile.refresh('shop');
SELECT value, number < 0.001 AS gain FROM shop.model_card_details WHERE item = 'attributes';
SELECT bool_and(p.p_purchase = crm_profile.probability_of_purchase(h.history, m.clv, '2024-12-31', '90 days')) AS average FROM shop.customer_profile p JOIN shop.customer_history h USING (customer), shop.model_in_use m;
SELECT crm_profile.alter_source('shop', attributes => '{subscribed}', clv_model => 'mbg/nbd');
SELECT orders > 0 AS refreshed FROM crm_profile.refresh('shop');
SELECT count(*) AS lines FROM shop.model_card_details WHERE item = 'attributes';
-- the table stays, empty. Who could read the views before they read it can do so afterwards
SELECT count(*) AS effects FROM shop.customer_effect;
CREATE ROLE regress_given_other;
GRANT USAGE ON SCHEMA shop, given TO regress_given_other;
GRANT SELECT ON shop.customer_profile, shop.customer_history, shop.model_in_use, given.client TO regress_given_other;
SELECT crm_profile.alter_source('shop', clv_model => 'auto');
SELECT orders > 0 AS refreshed FROM crm_profile.refresh('shop');
SELECT value FROM shop.model_card_details WHERE item = 'attributes';
SET ROLE regress_given_other;
SELECT count(p_purchase) > 1000 AS told FROM shop.customer_profile;
RESET ROLE;
SELECT crm_profile.alter_source('shop', reset => '{attributes}');
SELECT orders > 0 AS refreshed FROM crm_profile.refresh('shop');
SELECT count(*) AS effects FROM shop.customer_effect;
SELECT crm_profile.drop_source('shop');
DROP SCHEMA given CASCADE;
DROP ROLE regress_given_reader, regress_given_other;
