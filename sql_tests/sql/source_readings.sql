-- Amounts, days and conditions that are text, numbers or JSON: hints that work as they stand; queries that a source cannot read; what errors of rows tell
SET datestyle = ISO;
SET timezone = 'UTC';
SET client_min_messages = error;
SET jit = off;
SET max_parallel_workers = 0;
\set SHOW_CONTEXT never
CREATE SCHEMA said;
SET search_path = said;
CREATE TABLE client (id int PRIMARY KEY);
INSERT INTO client SELECT generate_series(1, 3);

-- ---------------------------------------------------------------- hints
-- what a column is read by, and what is read
CREATE FUNCTION reading(expression text, wanted text) RETURNS text LANGUAGE plpgsql SET search_path = said, pg_temp AS $$
DECLARE
	reading CONSTANT text := crm_profile_internal.reading_of(expression, 'said.sale', 'said', wanted);
	read text;
BEGIN
	EXECUTE format('SELECT string_agg(coalesce((%s)::text, ''none''), '', '' ORDER BY id) FROM sale', coalesce(reading, 'NULL')) INTO read;
	RETURN coalesce(reading, 'it tells nothing') || E'\n' || coalesce(read, 'no rows');
END $$;
CREATE FUNCTION amounts(VARIADIC texts text[]) RETURNS text LANGUAGE plpgsql SET search_path = said AS $$
BEGIN
	DELETE FROM sale;
	INSERT INTO sale (id, client, total) SELECT n, 1, t FROM unnest(texts) WITH ORDINALITY u(t, n);
	RETURN reading('total', 'amount');
END $$;
CREATE FUNCTION days(VARIADIC texts text[]) RETURNS text LANGUAGE plpgsql SET search_path = said AS $$
BEGIN
	DELETE FROM sale;
	INSERT INTO sale (id, client, day) SELECT n, 1, t FROM unnest(texts) WITH ORDINALITY u(t, n);
	RETURN reading('day', 'day');
END $$;
CREATE FUNCTION counted(VARIADIC numbers bigint[]) RETURNS text LANGUAGE plpgsql SET search_path = said AS $$
BEGIN
	DELETE FROM sale;
	INSERT INTO sale (id, client, at) SELECT n, 1, t FROM unnest(numbers) WITH ORDINALITY u(t, n);
	RETURN reading('at', 'day');
END $$;
CREATE TABLE sale (id int PRIMARY KEY, client int, day text, at bigint, total text, paid text, flag int, cancelled_at date, data jsonb, old json);
\pset format unaligned
\pset tuples_only on
SELECT amounts('12.50', '3', '-4.25', '1e3');
SELECT amounts('12.50', '', ' 4');
SELECT amounts('1.234,50 €', '12,5 €', '-7,00 €');
SELECT amounts('EUR 1''234,50', '12,50', '1 000,00');
SELECT amounts('$1,234.50', '$12.50', '-$7');
SELECT amounts('12,50-', '(3,25)', '1.000,10');
SELECT amounts('(12.50)', '3.25 -', '$4');
SELECT amounts('12,50 €', 'k.A.', '');
SELECT amounts('Fr. 12.50', 'Fr. 3.00', 'n/a');
SELECT amounts('a note', 'another', 'and 1');
SELECT amounts('SPRING10', 'SUMMER20', 'A7');
SELECT amounts('A10', 'A20', 'B7');
SELECT amounts(VARIADIC '{}');
SELECT days('2025-01-31', '2025-02-01', '2024-12-31');
SELECT days('2025-01-31', '', '0000-00-00');
SELECT days('2025-01-31 10:00', '2025-02-01T23:59:59.5', '2024-12-31 00:00:00');
SELECT days('2025-01-31T10:00:00Z', '2025-02-01T23:59:59-08', '2024-12-31 00:00:00+01:00');
SELECT days('31.01.2025', '1.2.2025', '31.12.2024');
SELECT days('31.01.2025 10:00', '01.02.2025 23:59', '31.12.2024 00:00');
SELECT days('31.01.25', '01.02.25', '31.12.24');
SELECT days('1/31/2025', '2/1/2025', '12/31/2024');
SELECT days('31/01/2025', '01/02/2025', '31/12/2024');
SET datestyle = 'ISO, MDY';
SELECT days('01/02/2025', '03/04/2025');
SET datestyle = 'ISO, DMY';
SELECT days('01/02/2025', '03/04/2025');
SET datestyle = ISO;
SELECT days('31-Jan-2025', '01-Feb-2025', '31-Dec-2024');
SELECT days('2025/01/31', '2025/2/1', '2024/12/31');
SELECT days('20250131', '20250201', '20241231');
SELECT days('1738317600', '1738454399', '1735603200');
SELECT days('1738317600000', '1738454399000', '1735603200000');
SELECT days('31.01.2025', '02/01/2025', '31-12-2024');
SELECT days('some', 'other', 'words');
SELECT days(VARIADIC '{}');
SELECT counted(1738317600, 1738454399, 1735603200);
SELECT counted(1738317600000, 1738454399000, 1735603200000);
SELECT counted(1738317600000000, 1738454399000000);
SELECT counted(20250131, 20250201, 20241231);
SELECT counted(45688, 45689, 45657);
SELECT counted(1, 2, 3);
-- conditions; fields of JSON, as a whole and one by one
DELETE FROM sale;
INSERT INTO sale VALUES
	(1, 1, '31.01.2025', 1738317600, '1.234,50 €', 'Y', 1, NULL, '{"Total": 12.5, "tax": 2, "created": "2025-01-31T10:00:00Z", "id": 7, "paid": true}', '{"when": {"day": 1}, "sum": "1,5"}'),
	(2, 2, '01.02.2025', 1738454399, '3,00 €', 'N', 0, NULL, '{"Total": "3", "created": "2025-02-01T10:00:00Z", "paid": false}', '[1]'),
	(3, 3, '31.12.2024', 1735603200, '4,25 €', 'yes', 1, '2025-01-02', '{"Total": 4.25, "created": "2024-12-31T10:00:00Z"}', NULL);
SELECT reading('paid', 'condition');
SELECT reading('flag', 'condition');
SELECT reading('cancelled_at', 'condition');
SELECT reading('data ->> ''paid''', 'condition');
SELECT reading('data', 'amount');
SELECT reading('data -> ''Total''', 'amount');
SELECT reading('data', 'day');
SELECT reading('data ->> ''created''', 'day');
SELECT reading('old', 'amount');
SELECT reading('old', 'day');
SELECT reading('cancelled_at', 'amount');
-- an argument as it is wrong, and the hint pasted in its place: what is read then
CREATE FUNCTION pasted(argument text, wrong text, others text) RETURNS text LANGUAGE plpgsql SET search_path = said, pg_temp AS $$
DECLARE
	hint text;
	answer text;
BEGIN
	BEGIN
		EXECUTE format('SELECT FROM crm_profile.create_source(''s'', ''client'', ''sale'', order_customer => ''client'', %s, %I => %L)', others, argument, wrong);
	EXCEPTION WHEN invalid_parameter_value THEN
		GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	END;
	EXECUTE format('SELECT FROM crm_profile.create_source(''s'', ''client'', ''sale'', order_customer => ''client'', %s, %s)', others, substring(hint FROM argument || ' => ''.*'''));
	EXECUTE format('SELECT string_agg(concat_ws('' '', q.customer, q.ordered_at::date, q.amount), '', '' ORDER BY q.customer) FROM (%s) q', (SELECT orders_query FROM s.source_definition)) INTO answer;
	PERFORM crm_profile.drop_source('s');
	RETURN hint || E'\n' || answer;
END $$;
SELECT pasted('amount', 'total', 'ordered_at => ''to_timestamp(at)''');
SELECT pasted('ordered_at', 'day', 'amount => ''flag''');
SELECT pasted('order_filter', 'paid', 'amount => ''flag'', ordered_at => ''to_timestamp(at)''');
SELECT pasted('amount', 'data', 'ordered_at => ''to_timestamp(at)''');
-- left out: what there is
ALTER TABLE sale DROP day, DROP at, DROP cancelled_at, DROP total, DROP paid, DROP flag, DROP old;
SELECT crm_profile.create_source('s', 'client', 'sale', order_customer => 'client');
SELECT crm_profile.create_source('s', 'client', 'sale', order_customer => 'client', ordered_at => '(data ->> ''created'')::timestamptz');
DROP TABLE sale;
CREATE TABLE sale (id int PRIMARY KEY, client int, ordered text, shipped text, total text);
INSERT INTO sale VALUES (1, 1, '31.01.2025', '', '1.234,50 €');
SELECT crm_profile.create_source('s', 'client', 'sale', order_customer => 'client');
SELECT crm_profile.create_source('s', 'client', 'sale', order_customer => 'client', ordered_at => 'to_date(ordered, ''DD.MM.YYYY'')');

DROP TABLE sale;
CREATE TABLE sale (id int PRIMARY KEY, client int);
SELECT crm_profile.create_source('s', 'client', 'sale', order_customer => 'client');

-- ---------------------------------------------------------------- queries
SET client_min_messages = warning;
DROP TABLE sale;
CREATE TABLE sale (id int PRIMARY KEY, client int, day date, total numeric);
INSERT INTO sale SELECT i, 1 + i % 3, date '2025-01-01' + i, 10 FROM generate_series(1, 9) i;
CREATE TEMP TABLE passing AS SELECT * FROM sale;
CREATE VIEW locking AS SELECT * FROM sale FOR SHARE;
CREATE VIEW "some" AS SELECT * FROM sale LIMIT 5;
CREATE FUNCTION given(query text) RETURNS text LANGUAGE plpgsql SET search_path = said, pg_temp AS $$
DECLARE
	orders text;
BEGIN
	PERFORM crm_profile.create_source('s', 'client', query, order_customer => 'client', ordered_at => 'day', amount => 'total', as_of => '2025-12-31');
	EXECUTE format('SELECT count(*) FROM (%s) q', (SELECT orders_query FROM s.source_definition)) INTO orders;
	PERFORM crm_profile.drop_source('s');
	RETURN orders || ' orders';
END $$;
SELECT given('SELECT * FROM sale FOR UPDATE');
SELECT given('SELECT * FROM (SELECT * FROM sale FOR KEY SHARE) q');
SELECT given('WITH q AS (SELECT * FROM sale FOR UPDATE) SELECT * FROM q');
SELECT given('locking');
SELECT given('SELECT * FROM locking');
SELECT given('SELECT * INTO copied FROM sale');
SELECT given('SELECT * INTO copied FROM sale UNION ALL SELECT * FROM sale');
SELECT given('WITH gone AS (DELETE FROM sale RETURNING *) SELECT * FROM gone');
SELECT given('WITH gone AS (DELETE FROM sale RETURNING *) DELETE FROM sale RETURNING *');
SELECT given('SELECT * FROM sale WHERE id = $1');
SELECT given('SELECT * FROM sale; SELECT * FROM sale');
SELECT given('SELECT * FROM sale; DROP TABLE sale');
SELECT given('SELECT * FROM sale) AS o, (SELECT 1');
SELECT given('SELECT *, id FROM sale');
SELECT given('SELECT 1 AS id');
SELECT given('SELECT * FROM passing');
SELECT given('passing');
-- what is all right
SELECT given('SELECT * FROM sale;');
SELECT given(E'  -- all of them\n/* really */ SELECT * FROM sale -- none left out');
SELECT given(E'SELECT * FROM sale; -- none left out');
SELECT given('(SELECT * FROM sale)');
SELECT given('TABLE sale');
SELECT given('VALUES (1, 2)');
SELECT given('SELECT client, day, total FROM sale UNION ALL SELECT client, day, 1 FROM sale');
SELECT given('WITH RECURSIVE q AS (SELECT * FROM sale) SELECT * FROM q');
SELECT given('SELECT id, client, day, generate_series(1, 2) AS total FROM sale');
-- what is, but may have other rows each time
SELECT given('SELECT * FROM sale LIMIT 5');
SELECT given('"some"');
SELECT given('SELECT * FROM (SELECT DISTINCT ON (client) * FROM sale) q');
SELECT given('SELECT * FROM sale ORDER BY id LIMIT 5');
SELECT given('SELECT * FROM sale LIMIT ALL');
SELECT given('SELECT *, (SELECT id FROM client LIMIT 1) AS one FROM sale');
SELECT given('SELECT * FROM sale TABLESAMPLE SYSTEM (100)');
SELECT given('SELECT * FROM sale TABLESAMPLE SYSTEM (100) REPEATABLE (1)');
SELECT given('SELECT * FROM sale WHERE random() < 2');
-- the same for the bulk functions
SELECT count(*) FROM crm_profile.collect_purchase_histories(NULL::int, 'SELECT client, day, total FROM (SELECT * FROM sale FOR UPDATE) q');
-- other arguments
SELECT crm_profile.create_source('s', 'client', 'sale', order_customer => 'client', amount => '(SELECT q.total FROM sale q WHERE q.id = sale.id FOR UPDATE)');
SELECT crm_profile.create_source('s', 'client', 'sale', order_customer => 'client', amount => 'total', attributes => '{"n = (SELECT count(*) FROM locking l WHERE l.client = client.id)"}');

-- ---------------------------------------------------------------- rows that fail
SET client_min_messages = error;
CREATE TABLE reminder (client int, due text, settled text, amount text);
INSERT INTO reminder SELECT 1 + i % 3, to_char(date '2025-01-01' + i, 'YYYY-MM-DD'), to_char(date '2025-01-05' + i, 'YYYY-MM-DD'), i FROM generate_series(1, 30) i;
SELECT FROM crm_profile.create_source('s', 'client', 'sale', order_customer => 'client', amount => '100 / total', payments => 'reminder', payment_customer => 'client', payment_due => 'due::date', payment_paid => 'settled::date', payment_amount => 'amount::numeric', as_of => '2025-12-31');
SELECT orders FROM crm_profile.refresh('s');
SELECT count(*) FROM s.payment_behaviour;
UPDATE sale SET total = 0 WHERE id = 5;
UPDATE reminder SET due = 'soon' WHERE due = '2025-01-09';
-- a refresh names the source and the arguments
SELECT orders FROM crm_profile.refresh('s');
SELECT * FROM crm_profile.profile_now('s', 3);
SELECT count(*) > 10 AS figures FROM crm_profile.profile_now('s', 1);
SELECT * FROM crm_profile.profile_now('s', 'three'::text);
-- so do views, in their context
\set SHOW_CONTEXT errors
SELECT count(*) FROM s.due_actions;
SELECT count(*) FROM sale WHERE 1 / total > 0;
\set SHOW_CONTEXT never
SELECT finding, rows, argument FROM crm_profile.check_source_details('s') WHERE severity = 'error';
SELECT crm_profile.drop_source('s');
DROP SCHEMA said CASCADE;
