-- Text and binary form of purchase_history: lossless, the same everywhere, and no bytes accepted that no encoder wrote
\getenv abs_srcdir PG_ABS_SRCDIR
\set load :abs_srcdir '/data/online_retail.psql'
CREATE SCHEMA history_io;
SET search_path = history_io, crm_profile, public;
\i :load

CREATE TABLE history AS
SELECT customer, purchase_history_agg(ordered_at, amount, CASE WHEN order_id NOT LIKE '%3' THEN round(amount * 0.61, customer % 7) END) AS h
FROM orders WHERE customer IS NOT NULL GROUP BY customer;
INSERT INTO history VALUES (1, '{}'), (2, '{4714-11-24 BC: 5, 0001-12-31 BC: 6, 5874897-12-31: 7}'),
	(3, '{2025-01-01: 9223372036854775807 (2147483647 orders, cost -9223372036854775807), 2025-01-02: -9223372036854775807 (0 orders)}'),
	(4, '{2025-01-01: 0 (0 orders, cost 1 of 2), 2025-01-02: 0.000001, 2025-01-03: -0.5 (3 orders, cost 0 of 0.25)}');

-- The text: readable, ISO days under any DateStyle, no needless decimals
SELECT h FROM history WHERE customer < 5 OR customer IN (12346, 12347) ORDER BY customer;
SELECT ' { 2025-01-31 :25.50 ( 1 order , cost 12.00 ) ,2025-02-03: -77 (2 orders)}'::purchase_history,
	E'{\n2025-01-31:\t5\n(cost\t1\nof\n2)\n}'::purchase_history,
	'{20250131: 1e2 (cost 1e2)}'::purchase_history,
	'{2025-02-01: 1, 2025-01-31: 2, 2025-02-01: 3 (cost 1)}'::purchase_history AS sorted_and_summed,
	'{2025-02-01: 0 (0 orders)}'::purchase_history AS nothing,
	'{2025-02-01: 5 (cost 0 of 0)}'::purchase_history AS no_cost;
CREATE TABLE told (settings text, customer int, t text);
SET DateStyle = 'SQL, DMY';
INSERT INTO told SELECT 'SQL, DMY', customer, h::text FROM history;
SET DateStyle = 'German';
SET TimeZone = 'Pacific/Apia';
INSERT INTO told SELECT 'German', customer, h::text FROM history;
SET DateStyle = 'Postgres, MDY';
SET extra_float_digits = -15;
SELECT count(*) AS read, count(*) FILTER (WHERE t::purchase_history <> h OR t <> h::text) AS different,
	count(*) FILTER (WHERE crm_profile_internal.purchase_history_send(t::purchase_history) <> crm_profile_internal.purchase_history_send(h)) AS other_bytes
FROM told JOIN history USING (customer);

-- The binary form is the stored form; COPY reads back what it wrote
SELECT crm_profile_internal.purchase_history_send('{}') = '\x0100' AS empty, length(crm_profile_internal.purchase_history_send('{2015-01-01: 127}')) AS one_day,
	length(crm_profile_internal.purchase_history_send('{2015-01-01: 127, 2015-03-05: 127}')) AS two_days;
SELECT current_setting('data_directory') || '/crm_profile_history_io' AS file \gset
COPY history TO :'file' (FORMAT binary);
CREATE TABLE copied (LIKE history);
COPY copied FROM :'file' (FORMAT binary);
SELECT count(*), count(*) FILTER (WHERE c.h = h.h) AS same FROM history h FULL JOIN copied c USING (customer);

-- Bytes that no encoder writes are rejected
\set fixture :abs_srcdir '/fixtures/receive.sql'
\i :fixture
SELECT what, receive('purchase_history', bytes) FROM (VALUES
	(1, 'a history', '\x01000007'::bytea),
	(2, 'no bytes', ''), (3, 'no flags', '\x01'), (4, 'another version', '\x0000'), (5, 'another version', '\x0200'),
	(6, 'loose', '\x0180'), (7, 'unknown flag', '\x0110'), (8, 'scale 7', '\x010e0007'), (9, 'scale not minimal', '\x0102000a'),
	(10, 'cut short', '\x010000'), (11, 'cut in an amount', '\x01000080'), (12, 'bytes too many', '\x0100000700'),
	(13, 'overlong amount', '\x0100008700'), (14, 'amount of 64 bits', '\x010000ffffffffffffffffff01'),
	(15, 'amount of 65 bits', '\x010000ffffffffffffffffff02'), (16, 'day of nothing', '\x010001000000'),
	(17, 'one order said aloud', '\x0100010207'), (18, 'minus zero', '\x0100010300'), (19, 'two to the 32 orders', '\x010001808080802007'),
	(20, 'day beyond the calendar', '\x0100fcffffff1f07'), (21, 'day beyond 32 bits', '\x01008080808080800207'),
	(22, 'costs without costs', '\x010100070000'), (23, 'costs, none known', '\x010102070000'),
	(24, 'cost covers all, said aloud', '\x01010207020e'), (25, 'a cost of half', '\x010102070208'),
	(26, 'least integer as cost', '\x01010007ffffffffffffffffff01'),
	(27, 'gap wraps', '\x01000007feffffff1f07')) v (i, what, bytes) ORDER BY i;

-- thousands of mutations of valid values: bytes changed, dropped, doubled, inserted, cut off.  Each is rejected with the one
-- error, or is a valid history that comes back equal
SELECT setseed(0.42);
CREATE TABLE mutant AS
SELECT i, CASE kind WHEN 0 THEN set_byte(b, at, byte) WHEN 1 THEN substr(b, 1, at) || substr(b, at + 2)
	WHEN 2 THEN substr(b, 1, at + 1) || substr(b, at + 1) WHEN 3 THEN substr(b, 1, at) || decode(lpad(to_hex(byte), 2, '0'), 'hex') || substr(b, at + 1)
	WHEN 4 THEN substr(b, 1, at) WHEN 5 THEN set_byte(set_byte(b, at, byte), (at * 31 + byte) % length(b), byte * 77 % 256)
	ELSE set_bit(b, at * 8 + byte % 8, 1 - get_bit(b, at * 8 + byte % 8)) END AS bytes
FROM (SELECT i, i % 7 AS kind, (length(b) * random())::int % length(b) AS at, (random() * 255)::int AS byte, b
	FROM (SELECT row_number() OVER (ORDER BY customer, r) AS i, crm_profile_internal.purchase_history_send(h) AS b
		FROM history, generate_series(1, 2) r WHERE customer % 3 = 0 OR customer < 5) h OFFSET 0) m;
CREATE TABLE outcome AS SELECT i, receive('purchase_history', bytes) AS said FROM mutant;
SELECT count(*) > 2900 AS thousands, count(*) FILTER (WHERE said LIKE '{%') > 300 AS some_accepted,
	count(*) FILTER (WHERE said LIKE '22P03%') > 1000 AS many_refused,
	count(*) FILTER (WHERE said NOT LIKE '{%' AND said <> '22P03 invalid binary form of type purchase_history') AS otherwise FROM outcome;
SELECT DISTINCT said FROM outcome WHERE said NOT LIKE '{%' AND said <> '22P03 invalid binary form of type purchase_history';
COPY (SELECT) TO PROGRAM 'cat >/dev/null; rm -f crm_profile_history_io';
\set fixture :abs_srcdir '/fixtures/received.sql'
\i :fixture

-- the same with texts: an error about the text, a number or a day, or a valid history
CREATE FUNCTION read(t text) RETURNS text LANGUAGE plpgsql SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
BEGIN
	IF t::purchase_history::text::purchase_history <> t::purchase_history THEN
		RETURN 'not lossless';
	END IF;
	RETURN 'read';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate;
END $$;
CREATE TABLE read AS
SELECT read(CASE i % 3 WHEN 0 THEN overlay(t PLACING substr(' 0123456789-:,(){}cost oforders', at % 31 + 1, 1) FROM at FOR 1)
	WHEN 1 THEN left(t, at) || substr(t, at + 2) ELSE left(t, at) || substr(t, at / 2) END) AS outcome
FROM (SELECT i, 1 + (length(t) * random())::int AS at, t
	FROM (SELECT row_number() OVER () AS i, h::text AS t FROM history) x OFFSET 0) m;
SELECT count(*) > 4000 AS thousands, count(*) FILTER (WHERE outcome = 'read') > 100 AS some_read,
	count(*) FILTER (WHERE outcome NOT IN ('read', '22P02', '22003', '22007', '22008', '22009', '22023')) AS otherwise FROM read;
SELECT DISTINCT outcome FROM read WHERE outcome NOT IN ('read', '22P02', '22003', '22007', '22008', '22009', '22023');

-- Every error about the text form says what was expected, and where
SELECT 'x'::purchase_history;
SELECT '{'::purchase_history;
SELECT '{2025-01-31}'::purchase_history;
SELECT '{ 31.01.2025: 5}'::purchase_history;
SELECT '{01/31/2025: 5}'::purchase_history;
SELECT '{infinity: 5}'::purchase_history;
SELECT '{2025-02-30: 5}'::purchase_history;
SELECT '{5874898-01-01: 5}'::purchase_history;
SELECT '{2025-01-31: }'::purchase_history;
SELECT '{2025-01-31: abc}'::purchase_history;
SELECT '{2025-01-31: NaN}'::purchase_history;
SELECT '{2025-01-31: 5 (2 orders}'::purchase_history;
SELECT '{2025-01-31: 5 (2 pieces)}'::purchase_history;
SELECT '{2025-01-31: 5 (2 orders, 3 orders)}'::purchase_history;
SELECT '{2025-01-31: 5 (cost 1, cost 2)}'::purchase_history;
SELECT '{2025-01-31: 5 (-2 orders)}'::purchase_history;
SELECT '{2025-01-31: 5 (2.5 orders)}'::purchase_history;
SELECT '{2025-01-31: 5 (99999999999 orders)}'::purchase_history;
SELECT '{2025-01-31: 5,}'::purchase_history;
SELECT '{2025-01-31: 5} and more'::purchase_history;
SELECT '{2025-01-31: 5 2025-02-01: 6}'::purchase_history;
SELECT ('{2025-01-31: 5}' || repeat(' x', 300))::purchase_history;

SET client_min_messages = warning;
DROP SCHEMA history_io CASCADE;
