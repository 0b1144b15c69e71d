-- What a user keeps with the extension: the TAP tests see whether it survives a dump, an upgrade and replication. Add what your area
-- lets people store: columns of its types, indexes and views that use its functions, rows in the extension's own tables.
CREATE EXTENSION crm_profile;
CREATE SCHEMA app;

CREATE TABLE app.orders (id int PRIMARY KEY, customer int NOT NULL, ordered_on date NOT NULL, amount numeric(12,2) NOT NULL, cost numeric(12,2));
INSERT INTO app.orders
	SELECT i, i * i % 23, date '2024-02-28' + i * 7 % 400, (i * 37 % 1000) / 10.0 - CASE WHEN i % 11 = 0 THEN 120 ELSE 0 END,
		CASE WHEN i % 3 > 0 THEN i % 40 END
	FROM generate_series(1, 400) i;

CREATE TABLE app.history (customer int PRIMARY KEY, history crm_profile.purchase_history NOT NULL);
INSERT INTO app.history SELECT customer, crm_profile.purchase_history_agg(ordered_on, amount, cost) FROM app.orders GROUP BY customer;
CREATE INDEX ON app.history (history);
CREATE VIEW app.customer AS
	SELECT customer, crm_profile.recency(history, date '2025-04-30') AS recency, crm_profile.frequency(history) AS frequency,
		crm_profile.monetary(history) AS monetary
	FROM app.history;

-- a fitted match, the profiles it was fitted on, and a view that scores them
CREATE TABLE app.card (pm crm_profile.profile_model NOT NULL, mm crm_profile.match_model);
INSERT INTO app.card SELECT crm_profile.profile_fit(o, '{"ignore": ["id", "customer"]}') FROM app.orders o;
UPDATE app.card SET mm = (SELECT crm_profile.match_fit(crm_profile.profile(o, pm), amount > 60, pm) FROM app.orders o);
CREATE VIEW app.score AS
	SELECT id, round(crm_profile.match_score(crm_profile.profile(o, pm), mm)::numeric, 9) AS score, crm_profile.match_reasons(crm_profile.profile(o, pm), mm) AS reasons
	FROM app.orders o, app.card;
CREATE VIEW app.relevance AS
	SELECT r.attribute, r.verdict, round(r.information_value::numeric, 9) AS information_value
	FROM unnest((SELECT crm_profile.attribute_relevance(o, amount > 60, '{id}') FROM app.orders o)) AS r;

-- for whom a treatment does more
CREATE TABLE app.test AS SELECT pm, (SELECT crm_profile.uplift_fit(crm_profile.profile(o, pm), id % 2 = 0, amount > 60 AND id % 2 = 0 AND cost > 20, pm) FROM app.orders o) AS um FROM app.card;
CREATE VIEW app.uplift AS SELECT id, round(crm_profile.uplift_score(crm_profile.profile(o, pm), um)::numeric, 9) AS uplift, crm_profile.uplift_group(crm_profile.profile(o, pm), um) AS who FROM app.orders o, app.test;

-- models of contracts and gifts, and one that knows attributes
CREATE TABLE app.fitted AS SELECT crm_profile.contract_model(0.668, 3.806) AS contracts, crm_profile.donation_model(1.204, 0.75, 0.657, 2.783) AS gifts,
	(SELECT crm_profile.clv_fit(h.history, '2025-04-30', 'mbg/nbd', NULL, NULL, r, '{"ridge": 1}') FROM app.history h, LATERAL (SELECT h.customer % 3 = 0 AS third) r) AS clv;
CREATE VIEW app.renewal AS SELECT crm_profile.survival(contracts, 12) AS survival, round(crm_profile.expected_donations(gifts, 4, 5, 6, 10)::numeric, 9) AS donations,
	crm_profile.with_attributes(clv, r) AS own FROM app.fitted, LATERAL (SELECT true AS third) r;

-- a source with everything that a source can have: tables, views and policies
CREATE TABLE app.customers (id int PRIMARY KEY, region text, age int, email text);
INSERT INTO app.customers SELECT i, 'r' || i * i % 23 % 3, i / 2, 'p' || i % 117 || '@example.org' FROM generate_series(0, 120) i;
CREATE TABLE app.prospects (prospect text PRIMARY KEY, region text, age smallint);
INSERT INTO app.prospects SELECT 'p' || i, 'r' || i % 4, i * 7 % 60 FROM generate_series(1, 20) i;
CREATE TABLE app.lines (order_id int, product text, kind text);
INSERT INTO app.lines SELECT 1 + i % 400, 'product ' || i * i % 7, 'kind ' || i * i % 7 % 2 FROM generate_series(1, 900) i;
CREATE TABLE app.payments (customer int, due_on date, paid_on date, amount numeric(12,2));
INSERT INTO app.payments SELECT customer, ordered_on + 14, CASE WHEN id % 7 > 0 THEN ordered_on + 10 + id % 20 END, amount FROM app.orders;
CREATE TABLE app.mailing (customer int, campaign text, sent_on date, treated boolean);
INSERT INTO app.mailing SELECT i, 'spring', '2025-03-01', i % 3 > 0 FROM generate_series(0, 22) i;
INSERT INTO crm_profile.scheme (name, bins) VALUES ('app', 5);
INSERT INTO crm_profile.scheme_rule (scheme, segment, r_from, condition) VALUES ('app', 'Near', 2, 'region = ''r1'''), ('app', 'Others', NULL, NULL);
SELECT crm_profile.create_source('app', 'app.customers', 'app.orders', order_customer => 'customer', amount => 'amount', cost => 'cost', order_key => 'id', as_of => '2025-04-30', scheme => 'app',
	time_zone => 'Asia/Tokyo', materialize => true, prospects => 'app.prospects', best => 'customer > 15', attributes => '{region,age}', corrections => '{"merge_customers": true}',
	lines => 'app.lines', line_order => 'order_id', line_product => 'product', line_category => 'kind', payments => 'app.payments', payment_customer => 'customer', payment_amount => 'amount',
	campaigns => 'app.mailing', campaign_customer => 'customer', campaign_name => 'campaign', contacted_at => 'sent_on', treated => 'treated');
INSERT INTO app.identity_override VALUES (3, 4, 'they said so');
SELECT crm_profile.refresh('app');
