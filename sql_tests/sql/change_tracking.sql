-- track_changes => 'keys': triggers note whose orders change; a refresh reads only those, with the result of one that reads all
\pset format unaligned
\pset tuples_only on
\set SHOW_CONTEXT never
SET client_min_messages = error;
-- without JIT: each of many refreshes would be compiled again
SET jit = off;
CREATE TABLE customer (id bigint PRIMARY KEY);
CREATE TABLE orders (id serial PRIMARY KEY, customer_id integer, day date, amount numeric(10,2), note text);
CREATE INDEX orders_customer ON orders (customer_id);
INSERT INTO customer SELECT generate_series(1, 100);
INSERT INTO orders (customer_id, day, amount) SELECT 1 + i % 90, date '2024-01-01' + i * 7 % 500, 1 + i % 83 FROM generate_series(1, 1500) i;
INSERT INTO orders (customer_id, day, amount) VALUES (NULL, '2024-02-01', 5);

-- whether histories, counts and thresholds of a source are those of a rebuild
CREATE FUNCTION differs(source text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	histories bigint;
	orders_sql text;
	customers text;
	customer_key text;
	key text;
	rest text;
BEGIN
	EXECUTE format('SELECT orders_query, key_type, customers, customer_key FROM %I.source_definition', source) INTO orders_sql, key, customers, customer_key;
	EXECUTE format('SELECT count(*) FROM crm_profile.collect_purchase_histories(NULL::%s, $1) n FULL JOIN %I.customer_history h USING (customer)
		WHERE (n.history OPERATOR(crm_profile.=) h.history) IS NOT TRUE OR n.history::text <> h.history::text', key, source) INTO histories USING orders_sql;
	-- thresholds and tiers are those of customers in the customer table, counts those of all
	EXECUTE format('WITH counted AS (SELECT h.history FROM %1$I.customer_history h WHERE EXISTS (SELECT FROM %3$s c WHERE c.%4$I = h.customer)),
			every AS (SELECT crm_profile.customer_base_fit(h.history, m.as_of, NULL, false) AS base FROM %1$I.customer_history h, (SELECT m.as_of FROM %1$I.model_in_use m) m),
			known AS (SELECT crm_profile.rfm_fit(k.history, m.as_of, 5) AS rfm, crm_profile.customer_base_fit(k.history, m.as_of, NULL, false) AS base FROM counted k, (SELECT m.as_of FROM %1$I.model_in_use m) m)
		SELECT concat_ws('' '', CASE WHEN m.rfm::text IS DISTINCT FROM k.rfm::text THEN ''rfm'' END,
			CASE WHEN ((d.customer_base).active_days, (d.customer_base).a_from, (d.customer_base).b_from, (d.customer_base).deciles) IS DISTINCT FROM ((k.base).active_days, (k.base).a_from, (k.base).b_from, (k.base).deciles)
				OR ((d.customer_base).customers, (d.customer_base).orders, (d.customer_base).oldest_order, (d.customer_base).newest_order) IS DISTINCT FROM ((e.base).customers, (e.base).orders, (e.base).oldest_order, (e.base).newest_order) THEN ''customer_base'' END,
			CASE WHEN (m.a_from, m.b_from, m.customers, m.oldest_order, m.newest_order) IS DISTINCT FROM ((d.customer_base).a_from, (d.customer_base).b_from, coalesce((d.customer_base).customers, 0), (d.customer_base).oldest_order, (d.customer_base).newest_order) THEN ''model'' END,
			CASE WHEN m.unassigned::text IS DISTINCT FROM (SELECT crm_profile.purchase_history_agg(o.ordered_at, o.amount)::text FROM (%2$s) o WHERE o.customer IS NULL) THEN ''unassigned'' END)
		FROM %1$I.source_definition d, known k, every e, %1$I.model m ORDER BY m.id DESC LIMIT 1', source, orders_sql, customers, customer_key) INTO rest;
	RETURN histories || ' histories ' || rest;
END $$;
-- what a refresh did, and whether the result is right
CREATE FUNCTION refreshed(source text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	done record;
	before text;
	after record;
BEGIN
	EXECUTE format('SELECT tracking ->> ''marker'' FROM %I.source_definition', source) INTO before;
	SELECT * INTO done FROM crm_profile.refresh(source);
	EXECUTE format('SELECT tracking ->> ''marker'' AS marker, tracking ->> ''read_all'' AS why FROM %I.source_definition', source) INTO after;
	RETURN format('%s: %s written, %s removed; differs: %s', CASE WHEN after.marker = before THEN 'changes' ELSE format('all, for %s', after.why) END, done.customers_written, done.customers_removed, differs(source));
END $$;

SELECT count(*) FROM crm_profile.create_source('shop', 'customer', 'orders', as_of => '2025-10-01', track_changes => 'keys', clv_model => 'bg/nbd');
SELECT tgenabled, tgtype FROM pg_trigger WHERE tgrelid = 'orders'::regclass AND NOT tgisinternal;
SELECT relpersistence FROM pg_class WHERE oid = 'shop.change_queue'::regclass;
SELECT refreshed('shop');
SELECT refreshed('shop');

-- every way to change orders
INSERT INTO orders (customer_id, day, amount) VALUES (95, '2025-01-01', 10), (3, '2025-01-01', 10), (3, '2025-01-02', 20);
SELECT ARRAY(SELECT unnest(customers) ORDER BY 1), marker IS NULL, queued_at <= clock_timestamp() FROM shop.change_queue ORDER BY customers;
SELECT changes_queued, clock_timestamp() - oldest_change < '1 hour' FROM crm_profile.sources_details;
SELECT refreshed('shop');
SELECT changes_queued, oldest_change FROM crm_profile.sources_details;
UPDATE orders SET amount = amount + 1 WHERE customer_id = 7;
SELECT refreshed('shop');
-- an order moved to another customer: both change; a refund
UPDATE orders SET customer_id = 96 WHERE id = (SELECT min(id) FROM orders WHERE customer_id = 8);
INSERT INTO orders (customer_id, day, amount) VALUES (9, '2025-02-01', -3);
SELECT refreshed('shop');
DELETE FROM orders WHERE customer_id = 10;
SELECT refreshed('shop');
-- orders without a customer, and an order taken from one
UPDATE orders SET customer_id = NULL WHERE id = (SELECT min(id) FROM orders WHERE customer_id = 11);
SELECT refreshed('shop');
DELETE FROM orders WHERE customer_id IS NULL;
SELECT refreshed('shop');
COPY orders (customer_id, day, amount) FROM stdin;
12	2025-03-01	7
97	2025-03-01	7
\.
SELECT refreshed('shop');
INSERT INTO orders (id, customer_id, day, amount) VALUES (1, 13, '2025-03-01', 1) ON CONFLICT (id) DO UPDATE SET customer_id = excluded.customer_id;
SELECT refreshed('shop');
SET max_parallel_workers = 0; -- from here on plans for workers run without: each of many small statements would start some
-- an update that changes nothing; one of a column that the source does not read
UPDATE orders SET note = 'x' WHERE customer_id = 14;
SELECT refreshed('shop');
-- savepoints: what is rolled back is still noted, which does no harm
BEGIN;
INSERT INTO orders (customer_id, day, amount) VALUES (15, '2025-04-01', 1);
SAVEPOINT s;
INSERT INTO orders (customer_id, day, amount) VALUES (16, '2025-04-01', 1);
ROLLBACK TO s;
INSERT INTO orders (customer_id, day, amount) VALUES (17, '2025-04-01', 1);
COMMIT;
SELECT unnest(customers) FROM shop.change_queue WHERE marker IS NULL ORDER BY 1;
SELECT refreshed('shop');
BEGIN;
INSERT INTO orders (customer_id, day, amount) VALUES (18, '2025-04-01', 1);
ROLLBACK;
SELECT count(*) FROM shop.change_queue WHERE marker IS NULL;
-- as logical replication applies changes
SET session_replication_role = replica;
INSERT INTO orders (customer_id, day, amount) VALUES (19, '2025-04-01', 1);
RESET session_replication_role;
SELECT refreshed('shop');
-- in the transaction of the refresh itself the keys are still in memory: the next refresh sees the change
BEGIN;
INSERT INTO orders (customer_id, day, amount) VALUES (20, '2025-04-01', 1);
SELECT customers_written FROM crm_profile.refresh('shop');
COMMIT;
SELECT refreshed('shop');
-- a refresh that is rolled back leaves the queue as it was
INSERT INTO orders (customer_id, day, amount) VALUES (21, '2025-04-01', 1);
BEGIN;
SELECT customers_written FROM crm_profile.refresh('shop');
ROLLBACK;
SELECT unnest(customers) FROM shop.change_queue WHERE marker IS NULL ORDER BY 1;
SELECT refreshed('shop');

-- changes that the queue cannot show are noticed, and all orders are read
TRUNCATE orders;
INSERT INTO orders (customer_id, day, amount) SELECT 1 + i % 90, date '2024-01-01' + i * 11 % 500, 1 + i % 89 FROM generate_series(1, 1500) i;
SELECT refreshed('shop');
SELECT refreshed('shop');
ALTER TABLE orders DISABLE TRIGGER ALL;
UPDATE orders SET amount = amount + 1 WHERE customer_id = 5;
ALTER TABLE orders ENABLE TRIGGER ALL;
SELECT refreshed('shop');
SELECT refreshed('shop');
SELECT refreshed('shop');
ALTER TABLE orders ALTER COLUMN amount TYPE numeric(12,4);
SELECT refreshed('shop');
TRUNCATE shop.change_queue;
SELECT refreshed('shop');
UPDATE orders SET amount = amount + 1;
SELECT refreshed('shop');
DO $$ BEGIN EXECUTE (SELECT format('DROP TRIGGER %I ON orders', tgname) FROM pg_trigger WHERE tgrelid = 'orders'::regclass AND NOT tgisinternal); END $$;
UPDATE orders SET amount = amount + 1 WHERE customer_id = 6;
SELECT refreshed('shop');
SELECT refreshed('shop');
UPDATE orders SET amount = amount + 1 WHERE customer_id = 6;
SELECT refreshed('shop');
SELECT crm_profile.alter_source('shop', order_filter => 'amount < 80');
UPDATE orders SET amount = 200 WHERE id = (SELECT min(id) FROM orders WHERE customer_id = 22);
SELECT refreshed('shop');
UPDATE orders SET amount = 20 WHERE id = (SELECT min(id) FROM orders WHERE customer_id = 22);
SELECT refreshed('shop');
-- a table of another kind in place of the queue
ALTER TABLE shop.change_queue ADD COLUMN more integer;
UPDATE orders SET amount = amount + 1 WHERE customer_id = 6;
SELECT refreshed('shop');
SELECT refreshed('shop');
UPDATE orders SET amount = amount + 1 WHERE customer_id = 6;
SELECT refreshed('shop');
SELECT crm_profile.alter_source('shop', track_changes => 'none');
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'orders'::regclass AND NOT tgisinternal;
SELECT to_regclass('shop.change_queue');
SELECT changes_queued FROM crm_profile.sources_details;
SELECT crm_profile.alter_source('shop', track_changes => 'keys');
SELECT refreshed('shop');

-- without an index it says so
SET client_min_messages = notice;
DROP INDEX orders_customer;
UPDATE orders SET amount = amount + 1 WHERE customer_id IN (6, 7);
SELECT refreshed('shop');
UPDATE orders SET amount = amount + 1;
SELECT refreshed('shop');
SET client_min_messages = error;
CREATE INDEX orders_customer ON orders (customer_id);

-- a forgotten customer who still has orders: they are read again
SELECT histories_deleted FROM crm_profile.forget_customer('shop', 6);
SELECT refreshed('shop');
DELETE FROM orders WHERE customer_id = 6;
SELECT histories_deleted FROM crm_profile.forget_customer('shop', 6);
SELECT count(*) FROM shop.change_queue WHERE 6 = ANY (customers);
SELECT refreshed('shop');

-- fits: thresholds and counts follow each change, the models of repeat purchase when enough has changed
CREATE TEMP TABLE fitted AS SELECT clv::text, rfm::text FROM shop.model_in_use;
INSERT INTO orders (customer_id, day, amount) SELECT 24, date '2024-01-01' + i, 70 FROM generate_series(1, 40) i;
SELECT refreshed('shop');
SELECT m.clv::text = f.clv, m.rfm::text = f.rfm FROM shop.model_in_use m, fitted f;
INSERT INTO orders (customer_id, day, amount) SELECT 30 + i, date '2025-01-01' + i, 70 FROM generate_series(1, 8) i;
SELECT refreshed('shop');
SELECT m.clv::text = f.clv FROM shop.model_in_use m, fitted f;
SELECT crm_profile.alter_source('shop', refit_share => 1.5);

SELECT crm_profile.drop_source('shop');
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'orders'::regclass AND NOT tgisinternal;
DROP TABLE orders;

-- partitions, written directly, attached, detached, truncated; the key in another integer type than the customers', text; rows that move
CREATE TABLE orders (customer_id smallint, day date, amount numeric) PARTITION BY RANGE (day);
CREATE TABLE orders_24 PARTITION OF orders FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE orders_25 (amount numeric, gone text, day date, customer_id smallint);
ALTER TABLE orders_25 DROP COLUMN gone;
ALTER TABLE orders ATTACH PARTITION orders_25 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE INDEX ON orders (customer_id);
INSERT INTO orders SELECT 1 + i % 90, date '2024-01-01' + i * 7 % 700, 1 + i % 83 FROM generate_series(1, 1500) i;
SELECT count(*) FROM crm_profile.create_source('parts', 'customer', 'orders', as_of => '2026-01-01', keep_history_before => '-infinity', track_changes => 'keys', clv_model => 'bg/nbd');
SELECT refreshed('parts');
INSERT INTO orders VALUES (1, '2024-05-05', 3), (2, '2025-05-05', 4);
INSERT INTO orders_25 (customer_id, day, amount) VALUES (3, '2025-05-05', 3);
UPDATE orders SET day = day + 366 WHERE customer_id = 4 AND day < '2024-03-01';
DELETE FROM orders_24 WHERE customer_id = 5;
SELECT refreshed('parts');
CREATE TABLE orders_26 PARTITION OF orders FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO orders VALUES (6, '2026-05-05', 3);
SELECT refreshed('parts');
INSERT INTO orders VALUES (6, '2026-05-06', 3);
SELECT refreshed('parts');
TRUNCATE orders_26;
SELECT refreshed('parts');
ALTER TABLE orders DETACH PARTITION orders_24;
SELECT refreshed('parts');
UPDATE orders_24 SET amount = amount + 1 WHERE customer_id = 7;
ALTER TABLE orders ATTACH PARTITION orders_24 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
SELECT refreshed('parts');
ALTER TABLE orders_24 DISABLE TRIGGER ALL;
UPDATE orders_24 SET amount = amount + 1 WHERE customer_id = 7;
SELECT refreshed('parts');
SELECT refreshed('parts');
UPDATE orders_24 SET amount = amount + 1 WHERE customer_id = 7;
SELECT refreshed('parts');
-- a partitioned table without partitions
CREATE TABLE none_yet (customer_id bigint, day date, amount numeric) PARTITION BY RANGE (day);
SELECT count(*) FROM crm_profile.create_source('empty', 'customer', 'none_yet', as_of => '2026-01-01', track_changes => 'keys', clv_model => 'bg/nbd');
SELECT refreshed('empty');
SELECT refreshed('empty');
CREATE TABLE one PARTITION OF none_yet DEFAULT;
INSERT INTO none_yet VALUES (1, '2025-01-01', 1);
SELECT refreshed('empty');
INSERT INTO none_yet VALUES (2, '2025-01-01', 1);
SELECT refreshed('empty');
-- another table in its place: by its name, and by alter_source()
ALTER TABLE none_yet RENAME TO former;
CREATE TABLE none_yet (customer_id bigint, client bigint, day date, amount numeric);
CREATE INDEX ON none_yet (customer_id);
CREATE INDEX ON none_yet (client);
INSERT INTO none_yet SELECT i % 20, i % 10, date '2025-01-01' + i, 1 FROM generate_series(1, 40) i;
SELECT refreshed('empty');
SELECT refreshed('empty');
INSERT INTO none_yet VALUES (2, 1, '2025-01-01', 1);
SELECT refreshed('empty');
SELECT crm_profile.alter_source('empty', order_customer => 'client');
SELECT tgrelid::regclass, encode(tgargs, 'escape') FROM pg_trigger WHERE tgfoid = 'crm_profile_internal.note_changed_customer'::regproc AND tgrelid IN ('none_yet'::regclass, 'former'::regclass);
SELECT refreshed('empty');
INSERT INTO none_yet VALUES (2, 1, '2025-01-01', 1);
SELECT refreshed('empty');
ALTER TABLE none_yet RENAME client TO buyer;
ALTER TABLE none_yet RENAME customer_id TO client;
INSERT INTO none_yet VALUES (3, 1, '2025-01-01', 1);
SELECT refreshed('empty');
SELECT crm_profile.drop_source('empty');
DROP TABLE none_yet, former;
-- two sources of one table
SELECT count(*) FROM crm_profile.create_source('parts2', 'customer', 'orders', as_of => '2026-01-01', keep_history_before => '-infinity', track_changes => 'keys', clv_model => 'bg/nbd');
SELECT refreshed('parts2');
UPDATE orders SET amount = amount + 1 WHERE customer_id = 8;
SELECT refreshed('parts');
SELECT refreshed('parts2');
ALTER SCHEMA parts2 RENAME TO renamed;
UPDATE orders SET amount = amount + 1 WHERE customer_id = 8;
SELECT refreshed('renamed');
DROP SCHEMA renamed CASCADE;
SELECT tgrelid::regclass, count(*) FROM pg_trigger WHERE tgfoid = 'crm_profile_internal.note_changed_customer'::regproc GROUP BY 1 ORDER BY 1;
UPDATE orders SET amount = amount + 1 WHERE customer_id = 8;
SELECT refreshed('parts');
SELECT crm_profile.drop_source('parts');
DROP TABLE orders;

-- text keys that are cast on the way: two spellings are one customer
CREATE TABLE orders (customer text, day date, amount numeric);
INSERT INTO orders SELECT (1 + i % 90)::text, date '2024-01-01' + i * 7 % 700, 1 + i % 83 FROM generate_series(1, 1500) i;
CREATE INDEX ON orders ((customer::bigint));
SELECT count(*) FROM crm_profile.create_source('spelt', 'customer', 'orders', order_customer => 'customer', as_of => '2026-01-01', track_changes => 'keys', clv_model => 'bg/nbd');
SELECT refreshed('spelt');
INSERT INTO orders VALUES ('007', '2025-02-02', 3), (' 8', '2025-02-02', 3);
SELECT refreshed('spelt');
SELECT crm_profile.drop_source('spelt');
DROP TABLE orders;

-- where tracking is impossible, the error says why
CREATE TABLE orders (id integer, customer_id bigint, day date, amount numeric, placed timestamptz);
CREATE TABLE parent_of (LIKE orders);
CREATE TABLE child_of () INHERITS (parent_of);
CREATE TABLE lines (order_id integer, price numeric);
CREATE VIEW plain_orders AS SELECT o.customer_id, o.day, o.amount FROM orders o WHERE o.amount > 0;
CREATE VIEW joined_orders AS SELECT o.customer_id, o.day, l.price AS amount FROM orders o JOIN lines l ON l.order_id = o.id;
\set show 'SELECT count(*) FROM crm_profile.create_source(''way'', ''customer'', order_customer => ''customer_id'', ordered_at => ''day'', amount => ''amount'', track_changes => ''keys'', clv_model => ''bg/nbd'', orders => '
:show 'joined_orders');
:show 'SELECT DISTINCT customer_id, day, amount FROM orders');
:show 'SELECT customer_id, day, sum(amount) AS amount FROM orders GROUP BY 1, 2');
:show 'parent_of');
:show 'orders', order_filter => 'day > current_date - 365');
:show 'orders', order_filter => 'placed > now() - interval ''1 year''');
:show 'orders', order_filter => 'id IN (SELECT order_id FROM lines)');
SELECT count(*) FROM crm_profile.create_source('way', 'customer', 'orders', order_customer => 'customer_id + 1', ordered_at => 'day', amount => 'amount', track_changes => 'keys', clv_model => 'bg/nbd');
SELECT count(*) FROM crm_profile.create_source('way', 'customer', 'orders', ordered_at => 'day', track_changes => 'everything');
-- where the rows are those of one table it is possible, also through a view
:show 'plain_orders');
SELECT refreshed('way');
INSERT INTO orders VALUES (1, 5, '2025-01-01', 3), (2, 5, '2025-01-02', -3);
SELECT tgrelid::regclass FROM pg_trigger WHERE tgfoid = 'crm_profile_internal.note_changed_customer'::regproc ORDER BY tgrelid::regclass::text;
SELECT crm_profile.drop_source('way');

-- a planted trigger writes nowhere, and cannot be linked to somebody else's queue
CREATE ROLE regress_tracker;
CREATE ROLE regress_planter;
GRANT CREATE ON DATABASE regress_crm_profile TO regress_tracker;
GRANT USAGE, CREATE ON SCHEMA public TO regress_planter;
GRANT SELECT ON customer, orders TO regress_tracker;
SET ROLE regress_tracker;
SELECT count(*) FROM crm_profile.create_source('theirs', 'customer', 'orders', ordered_at => 'day', track_changes => 'keys', clv_model => 'bg/nbd');
RESET ROLE;
GRANT TRIGGER ON orders TO regress_tracker;
SET ROLE regress_tracker;
SELECT count(*) FROM crm_profile.create_source('theirs', 'customer', 'orders', ordered_at => 'day', track_changes => 'keys', clv_model => 'bg/nbd');
SET ROLE regress_planter;
CREATE TABLE planted (customer_id bigint, other text);
CREATE TRIGGER crm_profile_changes AFTER INSERT OR UPDATE ON planted FOR EACH ROW EXECUTE FUNCTION crm_profile_internal.note_changed_customer('customer_id');
CREATE TRIGGER of_another_type AFTER INSERT ON planted FOR EACH ROW EXECUTE FUNCTION crm_profile_internal.note_changed_customer('other');
CREATE TRIGGER of_none AFTER INSERT ON planted FOR EACH ROW EXECUTE FUNCTION crm_profile_internal.note_changed_customer('nothing');
CREATE TRIGGER without_argument AFTER INSERT ON planted FOR EACH ROW EXECUTE FUNCTION crm_profile_internal.note_changed_customer();
INSERT INTO planted VALUES (1, 'x');
SELECT crm_profile_internal.track_table('theirs.change_queue', 'planted', 'customer_id', '{}');
DO $$ BEGIN PERFORM crm_profile_internal.track_table((SELECT oid FROM pg_class WHERE relname = 'change_queue'), 'planted', 'customer_id', '{}'); END $$;
-- a trigger from a dump is used only for those who may create triggers there
RESET ROLE;
CREATE TRIGGER from_a_dump AFTER INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION crm_profile_internal.note_changed_customer('customer_id');
SET ROLE regress_planter;
CREATE TABLE my_queue (customers bigint[], queued_at timestamptz, marker text);
SELECT crm_profile_internal.track_table('my_queue', 'orders', 'customer_id', '{}');
DROP TABLE my_queue;
RESET ROLE;
DROP TRIGGER from_a_dump ON orders;
SET ROLE regress_planter;
CREATE TRIGGER before_row BEFORE INSERT ON planted FOR EACH ROW EXECUTE FUNCTION crm_profile_internal.note_changed_customer('customer_id');
INSERT INTO planted VALUES (1, 'x');
DROP TABLE planted;
RESET ROLE;
SELECT count(*) FROM theirs.change_queue;
-- users who may not see the queue still write into it
CREATE ROLE regress_writer;
GRANT INSERT ON orders TO regress_writer;
SET ROLE regress_writer;
INSERT INTO orders VALUES (3, 7, '2025-01-01', 3);
RESET ROLE;
SELECT customers FROM theirs.change_queue;
-- a grant on all tables does not show it either
GRANT USAGE ON SCHEMA theirs TO regress_writer;
GRANT SELECT ON ALL TABLES IN SCHEMA theirs TO regress_writer;
SET ROLE regress_writer;
SELECT count(*) FROM theirs.change_queue;
RESET ROLE;
SET ROLE regress_tracker;
SELECT crm_profile.drop_source('theirs');
RESET ROLE;
DROP VIEW plain_orders, joined_orders;
DROP TABLE orders, parent_of, child_of, lines;
DROP OWNED BY regress_tracker, regress_planter, regress_writer;
DROP ROLE regress_tracker, regress_planter, regress_writer;

-- changes noted as rows: what came is added and what went taken away, by expressions, filters and costs as when orders are read; orders are read
-- again for customers of whom only the key was noted
CREATE TABLE rows (id serial, client smallint, at timestamptz, price numeric, pieces integer, cost numeric(8,2), state text COLLATE "C", note text);
CREATE INDEX ON rows (client);
INSERT INTO rows (client, at, price, pieces, cost, state) SELECT 1 + i % 60, timestamptz '2024-01-01 22:30+00' + i * interval '5 hours', i % 17 + 0.5, 1 + i % 3, CASE WHEN i % 4 > 0 THEN i % 7 END, CASE i % 9 WHEN 0 THEN 'open' ELSE 'paid' END FROM generate_series(1, 900) i;
SELECT count(*) FROM crm_profile.create_source('by_rows', 'customer', 'rows', customer_key => 'id', order_customer => 'client', ordered_at => 'at', amount => 'price * pieces', cost => 'cost', order_filter => 'state = ''paid'' AND (note = ''test'') IS NOT TRUE',
	time_zone => 'Europe/Berlin', as_of => '2025-06-01', track_changes => 'keys', clv_model => 'bg/nbd');
SELECT recorded_columns FROM by_rows.source_definition;
CREATE FUNCTION applied(source text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	done record;
	before text;
	again text;
	same boolean;
BEGIN
	EXECUTE format('SELECT tracking ->> ''marker'' FROM %I.source_definition', source) INTO before;
	SELECT * INTO done FROM crm_profile.refresh(source);
	EXECUTE format('SELECT CASE WHEN tracking ->> ''marker'' = $1 THEN coalesce(tracking ->> ''read_again'', ''nobody'') ELSE ''all'' END FROM %I.source_definition', source) INTO again USING before;
	-- by plain aggregates
	EXECUTE format('SELECT NOT EXISTS (SELECT FROM (SELECT o.client::bigint AS customer, crm_profile.purchase_history_agg((o.at AT TIME ZONE ''Europe/Berlin'')::date, o.price * o.pieces, o.cost) AS history FROM rows o
			WHERE o.client IS NOT NULL AND o.at IS NOT NULL AND o.price * o.pieces IS NOT NULL AND o.state = ''paid'' AND (o.note = ''test'') IS NOT TRUE GROUP BY 1) n
		FULL JOIN %I.customer_history h USING (customer) WHERE (n.history::text = h.history::text) IS NOT TRUE)', source) INTO same;
	RETURN format('%s written, %s removed, %s read again, %s', done.customers_written, done.customers_removed, again, CASE WHEN same THEN 'right' ELSE 'WRONG' END);
END $$;
SELECT applied('by_rows');
INSERT INTO rows (client, at, price, pieces, cost, state) VALUES (3, '2025-01-01 23:30+00', 5, 2, NULL, 'paid'), (3, '2025-01-01 23:30+00', 5, 2, 3, 'open'), (70, '2025-01-02', 1.125, 3, 0, 'paid');
SELECT applied('by_rows');
-- into the filter and out of it; a part of the amount; to somebody else; without a day; to nobody and back
UPDATE rows SET state = 'paid' WHERE client = 4;
UPDATE rows SET note = 'test' WHERE client = 5;
UPDATE rows SET pieces = -pieces, cost = NULL WHERE client = 6;
UPDATE rows SET client = 71 WHERE client = 7;
UPDATE rows SET at = NULL WHERE client = 8 AND id / 60 % 2 = 0;
SELECT applied('by_rows');
UPDATE rows SET at = '2025-02-01' WHERE at IS NULL;
UPDATE rows SET client = NULL WHERE client = 9 AND id / 60 % 2 = 0;
SELECT applied('by_rows');
-- what the source does not read is no change
UPDATE rows SET id = id + 100000 WHERE client = 10;
SELECT changes_queued FROM crm_profile.sources_details WHERE name = 'by_rows';
-- long values: the keys alone of those who have them
UPDATE rows SET note = repeat('x', 1000) WHERE client = 11;
INSERT INTO rows (client, at, price, pieces, state) VALUES (12, '2025-01-03', 5, 2, 'paid');
SELECT applied('by_rows');
UPDATE rows SET note = NULL WHERE client = 11 AND id / 60 % 2 = 0;
SELECT applied('by_rows');
-- savepoints within savepoints
BEGIN;
INSERT INTO rows (client, at, price, pieces, state) VALUES (13, '2025-01-04', 1, 1, 'paid');
SAVEPOINT a;
INSERT INTO rows (client, at, price, pieces, state) VALUES (13, '2025-01-04', 10, 1, 'paid');
SAVEPOINT b;
INSERT INTO rows (client, at, price, pieces, state) VALUES (13, '2025-01-04', 100, 1, 'paid');
RELEASE b;
SAVEPOINT c;
INSERT INTO rows (client, at, price, pieces, state) VALUES (14, '2025-01-04', 1000, 1, 'paid');
ROLLBACK TO c;
ROLLBACK TO a;
INSERT INTO rows (client, at, price, pieces, state) VALUES (15, '2025-01-04', 2, 1, 'paid');
SAVEPOINT d;
INSERT INTO rows (client, at, price, pieces, state) VALUES (15, '2025-01-04', 20, 1, 'paid');
RELEASE d;
COMMIT;
SELECT unnest(order_1), unnest(added) FROM by_rows.change_queue WHERE added IS NOT NULL ORDER BY 1, 2;
SELECT applied('by_rows');
-- a row that came and went between two refreshes leaves nothing
INSERT INTO rows (client, at, price, pieces, state) VALUES (16, '2025-01-05', 1, 1, 'paid'), (72, '2025-01-05', 1, 1, 'paid');
DELETE FROM rows WHERE client = 16 AND at = '2025-01-05' OR client = 72;
SELECT applied('by_rows');
-- not even what no history could hold: then orders are read
INSERT INTO rows (client, at, price, pieces, state) VALUES (16, '2025-01-05', 'NaN', 1, 'paid');
DELETE FROM rows WHERE price = 'NaN';
SELECT applied('by_rows');
-- all of a customer go, and come
DELETE FROM rows WHERE client = 17;
SELECT applied('by_rows');
INSERT INTO rows (client, at, price, pieces, state) VALUES (17, '2025-01-05', 1, 1, 'paid');
SELECT applied('by_rows');
-- a history that does not have what is to be taken away, as after damage: all customers of the queue are read again
UPDATE by_rows.customer_history SET history = '{2020-01-01: 5}' WHERE customer = 18;
DELETE FROM rows WHERE client = 18 AND id / 60 % 2 = 0;
UPDATE rows SET price = price + 1 WHERE client = 19;
SELECT applied('by_rows');
-- a column that is renamed, and another in its place
ALTER TABLE rows RENAME cost TO former_cost;
ALTER TABLE rows ADD cost numeric;
INSERT INTO rows (client, at, price, pieces, cost, state) VALUES (20, '2025-01-06', 1, 1, 1, 'paid');
SELECT applied('by_rows');
INSERT INTO rows (client, at, price, pieces, cost, state) VALUES (20, '2025-01-06', 1, 1, 1, 'paid');
SELECT applied('by_rows');
-- somebody is forgotten: of those noted beside, the keys stay
UPDATE rows SET price = price + 1 WHERE client IN (21, 22);
DELETE FROM rows WHERE client = 21;
SELECT histories_deleted, orders_left FROM crm_profile.forget_customer('by_rows', 21);
SELECT count(*) FROM by_rows.change_queue WHERE 21 = ANY (order_1) OR 21 = ANY (customers);
SELECT applied('by_rows');
BEGIN;
DELETE FROM rows WHERE client = 23;
SELECT histories_deleted, orders_left FROM crm_profile.forget_customer('by_rows', 23);
COMMIT;
SELECT count(*) FROM by_rows.change_queue WHERE 23 = ANY (order_1) OR 23 = ANY (customers);
SELECT applied('by_rows');
-- more rows than a transaction keeps in memory, outside of a savepoint and within one
INSERT INTO rows (client, at, price, pieces, state) SELECT 24, '2025-01-07', 1, 1, 'paid' FROM generate_series(1, 200000);
SELECT applied('by_rows');
BEGIN;
SAVEPOINT a;
DELETE FROM rows WHERE client = 24;
RELEASE a;
COMMIT;
SELECT applied('by_rows');
-- who may read the orders no more learns nothing from the queue
CREATE ROLE regress_keeper;
GRANT CREATE ON DATABASE regress_crm_profile TO regress_keeper;
GRANT SELECT, TRIGGER ON customer, rows TO regress_keeper;
SET ROLE regress_keeper;
SELECT count(*) FROM crm_profile.create_source('kept', 'customer', 'rows', customer_key => 'id', order_customer => 'client', ordered_at => 'at', amount => 'price * pieces', track_changes => 'keys', clv_model => 'bg/nbd');
SELECT customers_removed FROM crm_profile.refresh('kept');
RESET ROLE;
UPDATE rows SET price = price + 1 WHERE client = 25;
REVOKE SELECT ON rows FROM regress_keeper;
SET ROLE regress_keeper;
SELECT customers_written FROM crm_profile.refresh('kept');
RESET ROLE;
GRANT SELECT ON rows TO regress_keeper;
SELECT customers_written FROM crm_profile.refresh('kept');
-- lines, whole rows, corrections: keys alone
SELECT crm_profile.alter_source('kept', order_key => 'id');
SELECT recorded_columns FROM kept.source_definition;
SELECT crm_profile.alter_source('kept', reset => '{order_key}');
SELECT recorded_columns FROM kept.source_definition;
SELECT crm_profile.alter_source('kept', order_filter => 'num_nulls(rows) = 0');
SELECT recorded_columns FROM kept.source_definition;
SELECT crm_profile.alter_source('kept', order_filter => 'price < 1000', corrections => '{"duplicates": "drop"}');
SELECT recorded_columns FROM kept.source_definition;
SELECT crm_profile.drop_source('kept');
DROP OWNED BY regress_keeper;
DROP ROLE regress_keeper;
SELECT crm_profile.drop_source('by_rows');
DROP FUNCTION applied(text);
DROP TABLE rows;

-- refresh_all: failures are reported
CREATE TABLE orders (customer_id bigint, day date, amount numeric);
INSERT INTO orders SELECT 1 + i % 50, date '2024-01-01' + i, 1 + i % 83 FROM generate_series(1, 500) i;
SELECT count(*) FROM crm_profile.create_source('one', 'customer', 'orders', as_of => '2025-06-01');
SELECT count(*) FROM crm_profile.create_source('two', 'customer', 'orders', as_of => '2025-06-01');
SELECT count(*) FROM crm_profile.create_source('three', 'customer', 'orders', as_of => '2025-06-01', track_changes => 'keys', clv_model => 'bg/nbd', refit_share => 1);
DROP TABLE two.model CASCADE;
SELECT name, seconds >= 0, problem FROM crm_profile.refresh_all();
DROP SCHEMA two CASCADE;

-- many changes at random, in one transaction or several
CREATE INDEX ON orders (customer_id);
INSERT INTO customer SELECT generate_series(101, 2000);
DO $$
DECLARE
	step integer;
	action integer;
	found text;
	changes integer := 0;
	followed integer := 0;
BEGIN
	PERFORM setseed(0.25);
	FOR step IN 1 .. 300 LOOP
		action := floor(random() * 10);
		BEGIN
			IF action < 4 THEN
				INSERT INTO orders SELECT NULLIF(floor(random() * 60), 0), date '2024-01-01' + floor(random() * 500)::integer, round((random() * 100 - 10)::numeric, 2) FROM generate_series(1, 1 + floor(random() * 3)::integer);
			ELSIF action < 6 THEN
				DELETE FROM orders WHERE ctid IN (SELECT ctid FROM orders ORDER BY random() LIMIT 2);
			ELSIF action = 6 THEN
				UPDATE orders SET customer_id = 1 + floor(random() * 60) WHERE ctid IN (SELECT ctid FROM orders ORDER BY random() LIMIT 2);
			ELSIF action = 7 THEN
				UPDATE orders SET day = day + 1, amount = amount - 1 WHERE customer_id = 1 + floor(random() * 60);
			ELSIF action = 8 THEN
				DELETE FROM orders WHERE customer_id = 1 + floor(random() * 60);
			ELSE
				RAISE EXCEPTION USING ERRCODE = 'P0001';
			END IF;
			IF random() < 0.1 THEN
				RAISE EXCEPTION USING ERRCODE = 'P0001';
			END IF;
		EXCEPTION WHEN raise_exception THEN
			NULL;
		END;
		COMMIT;
		IF random() < 0.2 THEN
			found := refreshed('three');
			IF found NOT LIKE '%differs: 0 histories ' THEN
				RAISE EXCEPTION 'step %: %', step, found;
			END IF;
			changes := changes + (found LIKE 'changes%')::integer;
			-- and thresholds were not computed from all histories
			followed := followed + (NOT (SELECT refresh_phases ? 'refit' FROM crm_profile.sources_details WHERE name = 'three'))::integer;
			COMMIT;
		END IF;
	END LOOP;
	IF changes < 30 OR followed < 30 THEN
		RAISE EXCEPTION 'only % refreshes read changes, and thresholds followed % of them', changes, followed;
	END IF;
END $$;
SELECT split_part(refreshed('three'), ';', 2);
-- more keys in a transaction than memory keeps, keys longer than a page, and a queue dropped with them
CREATE TABLE many (customer text, day date, amount numeric);
CREATE TABLE many_customer (id text PRIMARY KEY);
INSERT INTO many_customer SELECT 'k' || i FROM generate_series(1, 10) i;
SELECT count(*) FROM crm_profile.create_source('many', 'many_customer', 'many', order_customer => 'customer', as_of => '2025-06-01', track_changes => 'keys', clv_model => 'bg/nbd');
INSERT INTO many SELECT 'k' || i, '2025-01-01', 1 FROM generate_series(1, 150000) i;
SELECT count(k), count(DISTINCT k) FROM "many".change_queue, unnest(customers) k;
DELETE FROM "many".change_queue;
SELECT setseed(0.5);
INSERT INTO many SELECT (SELECT string_agg(chr(33 + floor(random() * 90 + 0 * j)::integer), '') FROM generate_series(1, 6000) j), '2025-01-01', 1;
SELECT length(k), k = m.customer FROM "many".change_queue q, unnest(q.customers) k, many m WHERE length(m.customer) > 100;
BEGIN;
INSERT INTO many VALUES ('k1', '2025-01-01', 1);
SELECT crm_profile.drop_source('many');
COMMIT;
DROP TABLE many, many_customer;
-- corrections see all orders of the changed customers: the histories are those of orders corrected by hand
CREATE TABLE dirty (id serial, customer_id integer, day date, amount numeric);
CREATE INDEX ON dirty (customer_id);
INSERT INTO dirty (customer_id, day, amount) SELECT 1 + i % 20, date '2024-01-01' + i % 300, 10 + i % 7 FROM generate_series(1, 400) i;
SELECT count(*) FROM crm_profile.create_source('corrected', 'customer', 'dirty', order_customer => 'customer_id', ordered_at => 'day', amount => 'amount', as_of => '2025-06-01', track_changes => 'keys',
	clv_model => 'bg/nbd', corrections => '{"duplicates": "drop", "refunds": "cancel"}');
SELECT customers_written FROM crm_profile.refresh('corrected');
INSERT INTO dirty (customer_id, day, amount) VALUES (3, '2025-01-01', 50), (3, '2025-01-01', 50), (4, '2025-01-02', 60), (4, '2025-01-03', -60);
SELECT customers_written FROM crm_profile.refresh('corrected');
SELECT tracking ->> 'read_all' FROM "corrected".source_definition;
SELECT count(*) FROM (SELECT customer_id AS customer, crm_profile.purchase_history_agg(day, amount) AS history
		FROM (SELECT DISTINCT customer_id, day, amount FROM dirty WHERE NOT (customer_id = 4 AND abs(amount) = 60)) d GROUP BY customer_id) n
	FULL JOIN "corrected".customer_history h USING (customer) WHERE (n.history OPERATOR(crm_profile.=) h.history) IS NOT TRUE;
SELECT crm_profile.alter_source('corrected', corrections => '{"merge_customers": true}');
SELECT crm_profile.drop_source('corrected');
-- nothing is compiled for a few customers: that would take seconds
CREATE FUNCTION asked(amount numeric) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE WARNING 'jit is %', current_setting('jit'); RETURN amount; END $$;
SET client_min_messages = error;
SELECT count(*) FROM crm_profile.create_source('asking', 'customer', 'dirty', order_customer => 'customer_id', ordered_at => 'day', amount => 'asked(amount)', as_of => '2025-06-01', track_changes => 'keys', clv_model => 'bg/nbd', materialize => true);
SELECT customers_written FROM crm_profile.refresh('asking');
SELECT current_setting('jit') AS was \gset
SET jit = on;
INSERT INTO dirty (customer_id, day, amount) VALUES (77, '2025-01-01', 50);
SET client_min_messages = warning;
SELECT customers_written FROM crm_profile.refresh('asking');
SET jit = :was;
SELECT crm_profile.drop_source('asking');
DROP FUNCTION asked(numeric);
DROP TABLE dirty;
DO $$ BEGIN PERFORM crm_profile.drop_source(name) FROM crm_profile.sources; END $$;
DROP TABLE orders, customer;
DROP FUNCTION refreshed(text), differs(text);
