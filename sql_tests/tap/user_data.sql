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

-- a source with its tables, views and policies
CREATE TABLE app.customers (id int PRIMARY KEY, region text, age int);
INSERT INTO app.customers SELECT i, 'r' || i * i % 23 % 3, i / 2 FROM generate_series(0, 120) i;
CREATE TABLE app.prospects (prospect text PRIMARY KEY, region text, age smallint);
INSERT INTO app.prospects SELECT 'p' || i, 'r' || i % 4, i * 7 % 60 FROM generate_series(1, 20) i;
SELECT crm_profile.create_source('app', 'app.customers', 'app.orders', order_customer => 'customer', amount => 'amount', cost => 'cost', as_of => '2025-04-30',
	time_zone => 'Asia/Tokyo', materialize => true, prospects => 'app.prospects', best => 'customer > 60');
SELECT crm_profile.refresh('app');
