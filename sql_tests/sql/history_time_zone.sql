-- The day of a time stamp: timestamptz in the session's zone equals AT TIME ZONE cut to the day, whatever came before
CREATE SCHEMA history_time_zone;
SET search_path = history_time_zone, crm_profile, public;

-- zones of all kinds: half hours, changes of an hour, a half, a day, sides of the date line, one offset for ever, POSIX rules
CREATE TABLE zone AS
SELECT unnest(ARRAY['UTC', 'Europe/London', 'Europe/Berlin', 'Europe/Dublin', 'Europe/Moscow', 'Europe/Lisbon', 'America/New_York', 'America/St_Johns',
	'America/Sao_Paulo', 'America/Caracas', 'America/Anchorage', 'America/Nuuk', 'Asia/Kolkata', 'Asia/Kathmandu', 'Asia/Tehran', 'Asia/Gaza', 'Asia/Manila',
	'Asia/Pyongyang', 'Africa/Casablanca', 'Africa/Monrovia', 'Australia/Lord_Howe', 'Australia/Adelaide', 'Pacific/Apia', 'Pacific/Kiritimati',
	'Pacific/Chatham', 'Pacific/Kwajalein', 'Antarctica/Troll', 'Etc/GMT+12', 'Etc/GMT-14', 'EST5EDT', 'MST7MDT,M3.2.0,M11.1.0', '<+0545>-05:45']) AS zone;

-- moments: at random from 4713 BC to 9999, more of them from 1840 to 2110, hours around the turns of days and years
SELECT setseed(0.7);
CREATE TABLE moment AS
SELECT timestamptz '4713-01-01 00:00+00 BC' + random() * 14700 * interval '365.25 days' AS t FROM generate_series(1, 1000)
UNION ALL SELECT timestamptz '1840-01-01 00:00+00' + random() * 270 * interval '365.25 days' FROM generate_series(1, 4000)
UNION ALL SELECT timestamptz '2010-01-01 00:00+00' + random() * 15 * interval '365.25 days' FROM generate_series(1, 2000)
UNION ALL SELECT timestamptz '2000-01-01 00:00+00' + h * interval '15 minutes' + u * interval '1 microsecond' FROM generate_series(-100, 100) h, generate_series(-1, 1) u
UNION ALL SELECT timestamptz '1970-01-01 00:00+00' + h * interval '15 minutes' + u * interval '1 microsecond' FROM generate_series(-100, 100) h, generate_series(-1, 1) u;

-- each zone: all moments in one aggregate, in random order, so that the cache of offsets is full of other stretches;
-- forwards; backwards.  The amounts are the numbers of the rows, so that a moment on a wrong day is seen
CREATE FUNCTION wrong_days(zone text, query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	before text := current_setting('TimeZone');
	wrong boolean;
BEGIN
	PERFORM set_config('TimeZone', zone, true);
	EXECUTE format('SELECT bool_or(said <> expected) FROM (
		SELECT purchase_history_agg(t, n ORDER BY o) AS said, purchase_history_agg((t AT TIME ZONE %L)::date, n) AS expected
		FROM (SELECT *, row_number() OVER (ORDER BY t) AS n FROM (%s) m) q,
			LATERAL (VALUES (1, hashint8(n)::bigint), (2, n), (3, -n)) v (way, o) GROUP BY way) x', zone, query) INTO wrong;
	PERFORM set_config('TimeZone', before, true);
	RETURN coalesce(wrong, true);
END $$;
SELECT count(*) AS zones, count(*) FILTER (WHERE wrong_days(zone, 'SELECT t FROM moment')) AS wrong FROM zone;

-- the edges: the very second at which an offset changes, from 1840 to 2500, and the seconds and days about it
CREATE TABLE change AS
WITH RECURSIVE day AS (SELECT zone, t, extract(epoch FROM (t AT TIME ZONE zone) - (t AT TIME ZONE 'UTC')) AS east
		FROM unnest(ARRAY['America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe', 'Africa/Casablanca', 'Pacific/Apia', 'Asia/Manila']) zone,
			generate_series(timestamptz '1840-01-01 00:00+00', '2500-01-01 00:00+00', '1 day') t),
	search AS (SELECT zone, east_before AS east, extract(epoch FROM t)::bigint - 86400 AS low, extract(epoch FROM t)::bigint AS high
		FROM (SELECT *, lag(east) OVER (PARTITION BY zone ORDER BY t) AS east_before FROM day) d WHERE east_before <> east
		UNION ALL
		SELECT zone, east, CASE WHEN same THEN middle ELSE low END, CASE WHEN same THEN high ELSE middle END
		FROM (SELECT *, (low + high) / 2 AS middle, extract(epoch FROM (to_timestamp((low + high) / 2) AT TIME ZONE zone)
			- (to_timestamp((low + high) / 2) AT TIME ZONE 'UTC')) = east AS same FROM search) s WHERE high - low > 1)
SELECT zone, to_timestamp(high) AS t FROM search WHERE high - low = 1;
SELECT zone, count(*) > 4 AS changes, wrong_days(zone, format('SELECT t + i * interval ''1 second'' AS t FROM history_time_zone.change,
	unnest(ARRAY[-86400, -3600, -1, 0, 1, 1800, 3600, 7200, 86400, 20000000]) i WHERE zone = %L', zone)) AS wrong
FROM change GROUP BY zone ORDER BY zone;
-- the change first, then the year that follows it
SELECT count(*) > 100 AS changes, count(*) FILTER (WHERE wrong_days(zone, format(
	'SELECT to_timestamp(%s) + i * interval ''97 hours 13 minutes'' AS t FROM generate_series(0, 120) i', extract(epoch FROM t)))) AS wrong
FROM change WHERE extract(year FROM t)::int % 10 = 7 OR extract(year FROM t) < 1900;

-- a session that changes its zone between statements of one prepared plan, and within a query
PREPARE days AS SELECT purchase_history_agg(t, 1) FROM (VALUES (timestamptz '2025-06-30 23:30+00'), ('2025-01-01 04:30+00')) v (t);
SET TimeZone = 'UTC';
EXECUTE days;
SET TimeZone = 'Asia/Tokyo';
EXECUTE days;
SET TimeZone = 'America/New_York';
EXECUTE days;
SELECT purchase_history_agg(t, CASE WHEN set_config('TimeZone', z, true) IS NOT NULL THEN i END)
FROM (VALUES (1, 'UTC', timestamptz '2025-06-30 23:30+00'), (2, 'Asia/Tokyo', '2025-06-30 23:30+00'), (3, 'Pacific/Honolulu', '2025-07-01 05:30+00')) v (i, z, t);

-- without a zone: the day as written, also before 2000 and before our era; the session's zone does not matter
SELECT zone, (purchase_history_agg(t AT TIME ZONE 'UTC', n) = purchase_history_agg((t AT TIME ZONE 'UTC')::date, n)) AS same
FROM (SELECT set_config('TimeZone', z, true) AS zone, z FROM unnest(ARRAY['Asia/Tokyo', 'America/New_York']) z) s,
	(SELECT *, row_number() OVER (ORDER BY t) AS n FROM moment) m GROUP BY zone ORDER BY zone;
SELECT purchase_history_agg(t, 1) FROM (VALUES (timestamp '1999-12-31 23:59:59.999999'), ('2000-01-01'), ('0001-12-31 23:59:59.999999 BC'),
	('0001-01-01'), ('4714-11-24 00:00 BC'), ('294276-12-31 23:59:59.999999')) v (t);

-- the ends of the calendar: a moment without a local day is rejected, as by AT TIME ZONE
SET TimeZone = 'UTC';
SELECT purchase_history_agg(t, 1) FROM (VALUES (timestamptz '4714-11-24 00:00+00 BC'), ('294276-12-31 23:59:59.999999+00')) v (t);
SET TimeZone = 'America/New_York';
SELECT purchase_history_agg(t, 1) FROM (VALUES (timestamptz '4714-11-24 00:00+00 BC')) v (t);
SET TimeZone = 'Pacific/Kiritimati';
SELECT purchase_history_agg(t, 1) FROM (VALUES (timestamptz '294276-12-31 23:59:59.999999+00')) v (t);

SET client_min_messages = warning;
DROP SCHEMA history_time_zone CASCADE;
