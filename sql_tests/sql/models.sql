-- Models as values: what the nine types have in common (src/base/model.h)
SET search_path = crm_profile;
SET jit = off;
SET max_parallel_workers_per_gather = 0;
SET client_min_messages = warning;
CREATE SCHEMA test_models;
SET search_path = test_models, crm_profile;

-- Text forms as written; every field of every type occurs at least once
CREATE TABLE sample (id int PRIMARY KEY, type text, written text);
INSERT INTO sample VALUES
(1, 'rfm_model', '{"bins": 2, "recency": [90], "frequency": [1.5], "monetary": [0]}'),
(2, 'rfm_model', '{"bins": 3, "recency": [30, 90], "frequency": [1, 4.25], "monetary": [-50.000001, 200000000000], "period": "P1Y2M-3DT4H", "as_of": "2011-12-09", "customers": 4338, "median_frequency": 2.5, "median_order_value": 293.8996875}'),
(3, 'segment_scheme', '{"bins": 2, "segments": [{"segment": "a \"quoted\" name", "cells": [221, 111]}, {"segment": "nobody"}, {"segment": "Größe", "cells": [222]}]}'),
(4, 'clv_model', '{"model": "pareto/nbd", "parameters": [0.553, 10.578, 0.606, 11.669], "value": "profit", "spend_parameters": [0, 2.5, -3], "spend_status": "edge", "mean_value": -3.25, "spend_model": "normal-normal", "bounds": [0.5, 10, 2, 60, 0, 0, 0, 0], "first_difference": -1.5}'),
(5, 'clv_model', '{"model": "bg/nbd", "parameters": [0.243, 4.414, 0.793, 2.426], "unit_days": 30.5, "status": "edge", "as_of": "1997-09-30", "customers": 2357, "repeaters": 946, "purchases": 2442, "log_likelihood": -9582.429, "covariance": [1, 0.5, 1, -0.25, 0, 1e-300, 0, 0, 0, 1], "value": "profit", "spend_parameters": [6.25, 3.74, 15.44], "spend_status": "converged", "spend_customers": 946, "spend_excluded": 1, "spend_log_likelihood": -4055.9, "spend_covariance": [1, 0, 1, 0, 0, 1], "mean_value": 35.08, "first_ratio": 1.01}'),
(6, 'rhythm_model', '{"regularity": 3, "parameters": [1.5, 20.25], "status": "converged", "as_of": "2011-12-09", "customers": 10, "gaps": 30, "log_likelihood": -3.5, "covariance": [1, 0, 1]}'),
(7, 'profile_model', '{"attributes": [{"name": "age", "kind": "numeric", "low": -1.5, "high": 1e+300}]}'),
(8, 'profile_model', '{"rows": 9, "missing": ["", "n/a"], "missing_numbers": [-1, 99], "ignored": ["id"], "attributes": [{"name": "since", "kind": "date", "weight": 0.5, "first": "1999-12-31", "last": "2020-01-21", "missing": 1}, {"name": "Stadt", "kind": "nominal", "values": ["Köln", "Ulm"], "counts": [5, 3], "other": 1}, {"name": "size", "kind": "ordinal", "weight": 2, "values": ["S", "L"], "counts": [4, 5]}, {"name": "member", "kind": "boolean", "weight": 0, "values": ["false", "true"], "counts": [4, 5]}, {"name": "likes", "kind": "set", "values": ["tea"], "counts": [6], "other": 2}]}');
INSERT INTO sample VALUES
(10, 'clv_model', '{"model": "mbg/nbd", "parameters": [1, 2, 3, 4], "regularity": 2, "season_status": "fitted", "season": [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0.5, 1.5], "observed_from": "1997-01-01", "early_customers": 3, "pace": 1.25, "attributes": {"attributes": [{"name": "city", "kind": "nominal", "values": ["Ulm", "Köln"], "counts": [9, 8]}, {"name": "age", "kind": "numeric", "low": 18, "high": 90}]}, "purchase_effects": [0.5, -0.25], "leaving_effects": [0, 1], "means": [0.47, 0.3], "day_weights": [{"from": "2024-12-24", "days": 3}, {"from": "2024-12-27", "weight": 1.5}], "random_parameters": [1, 20, 0.5, 2]}'),
(11, 'contract_model', '{"parameters": [0.668, 3.806], "status": "converged", "contracts": 1000, "renewals": 4417, "log_likelihood": -1611.25, "covariance": [1, 0.5, 1]}'),
(12, 'donation_model', '{"parameters": [1.204, 0.75, 0.657, 2.783], "status": "converged", "donors": 11104, "donations": 24615, "log_likelihood": -33225.5, "covariance": [1, 0, 1, 0, 0, 1, 0, 0, 0, 1]}');
INSERT INTO sample SELECT 9, 'match_model', format('{"rows": 100, "targets": 20, "skipped": 1, "auc": 0.75, "log_loss": 0.4, "prior_variance": 0.5, "intercept": -1.25, "deciles": [%s], "fingerprint": "%s", "scaled": 2, "coded": 2, "set_bytes": [2], "features": [{"bins": [{}, {"others": 40, "targets": 5, "points": -0.5}, {"others": 30, "targets": 10, "points": 0.25}, {"others": 10, "targets": 5, "points": 0.5}], "low": ["-Infinity", 7000.5], "alone": [3.3]}, {"slot": 2, "bins": [{"others": 1}, {"others": 40, "targets": 5, "points": -0.5}, {"others": 39, "targets": 15, "points": 0.25}], "codes": [1, 2, 1]}, {"slot": 4, "member": 8, "bins": [{}, {"others": 50, "targets": 5}, {"others": 30, "targets": 15, "points": 0.125}]}], "profile_model": %s}',
	(SELECT string_agg('{"rows": 10, "targets": 2, "expected": 1.5}', ', ') FROM generate_series(1, 10)), fingerprint(written::profile_model), written) FROM sample WHERE id = 8;
INSERT INTO sample SELECT 13, 'uplift_model', format('{"outcome": "value", "response": 0.5, "treated_mean": 2, "control_mean": 1.5, "effect": {"value": 0.5, "error": 0.25}, "deviation": 3, "balance": 1, "qini": {"value": 0.125, "error": 0.0625}, "auuc": {"value": -1, "error": 2}, "top10": {"value": 1}, "top30": {"error": 1}, "response30": {"value": 0.1}, "deciles": [%s], "bins": [%s], "card": %s}',
	(SELECT string_agg('{"uplift": {"value": 1, "error": 0.5}, "expected": 0.75}', ', ') FROM generate_series(1, 10)), (SELECT string_agg('{"response": -0.5, "treated_mean": 4, "control_mean": 3}', ', ') FROM generate_series(1, 10)), written) FROM sample WHERE id = 9;

-- Round trips: text, which is JSON, comes back as written; members in another order are the same value; bytes through a file
CREATE TABLE seen (id int, bytes bytea, same_text boolean, any_order boolean);
DO $$
DECLARE s record;
BEGIN
	FOR s IN TABLE sample ORDER BY id LOOP
		EXECUTE format('INSERT INTO seen SELECT $1, crm_profile_internal.%1$s_send(v), v::text = $2, v = $2::jsonb::text::%1$s FROM (SELECT $2::%1$s) m (v)', s.type)
			USING s.id, s.written;
	END LOOP;
END $$;
SELECT id, type, same_text, any_order, get_byte(bytes, 0) AS version, substr(sha256(substr(bytes, 10)), 1, 8) = substr(bytes, 2, 8) AS fingerprint,
	length(bytes) < length(written) AND length(bytes) < 2000 AS small
FROM seen JOIN sample USING (id) ORDER BY id;

\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/fixtures/receive.sql'
\i :fixture
CREATE FUNCTION outcome(type text, bytes bytea) RETURNS text LANGUAGE sql AS
$$ SELECT CASE WHEN said LIKE '{%' THEN 'a value of its own' WHEN said ~ '^(22P03|22021)' THEN 'refused' ELSE said END FROM receive($1, $2) said $$;
-- the bytes with a correct fingerprint, so that more than the fingerprint is tested
CREATE FUNCTION sealed(bytes bytea) RETURNS bytea LANGUAGE sql AS $$ SELECT substr($1, 1, 1) || substr(sha256(substr($1, 10)), 1, 8) || substr($1, 10) $$;
SELECT outcome(type, bytes) AS said, count(*) FROM seen JOIN sample USING (id) GROUP BY 1;
SELECT outcome(type, b) AS said, count(*) > 100 AS hundreds FROM seen JOIN sample USING (id),
	LATERAL (SELECT substr(bytes, 1, n) FROM generate_series(0, length(bytes) - 1, 3) n
		UNION ALL SELECT set_byte(bytes, n, get_byte(bytes, n) # 16) FROM generate_series(0, length(bytes) - 1, 3) n) m (b) GROUP BY 1 ORDER BY 1;
SELECT type, outcome(type, sealed(b)) AS said, count(*) > 5 AS some FROM seen JOIN sample USING (id),
	LATERAL (SELECT substr(bytes, 1, n) FROM generate_series(9, length(bytes) - 1, 3) n UNION ALL SELECT bytes || '\x00'
		UNION ALL SELECT set_byte(bytes, n, get_byte(bytes, n) # x) FROM generate_series(9, length(bytes) - 1) n, unnest('{1,128}'::int[]) x) m (b)
GROUP BY 1, 2 ORDER BY 1, 2;

-- How models grow: what is the default is not stored, so that what was stored before a field was there reads as its default; a field of a later release is refused
SELECT '{"model": "bg/nbd", "parameters": [1, 2, 3, 4]}'::clv_model = '{"model": "bg/nbd", "parameters": [1, 2, 3, 4], "unit_days": 7, "status": "given", "customers": 0, "as_of": null, "value": "revenue", "covariance": [0, 0, 0, 0, 0, 0, 0, 0, 0, -0.0]}' AS same;
SELECT length(crm_profile_internal.clv_model_send(clv_model('bg/nbd', '{1, 2, 3, 4}'))) - (1 + 8 + 1 + 1 + 4 * 8) AS bytes_of_defaults;
SELECT receive('rhythm_model', sealed(substr(bytes, 1, 9) || '\xff02' || substr(bytes, 11))) AS one_bit_more
FROM seen WHERE id = 6;
SELECT '{"regularity": 2, "parameters": [1, 2], "season": [1]}'::rhythm_model;
-- an unknown word of a list
SELECT encode(substr(b, 19, 3), 'hex') AS words, receive('segment_scheme', sealed(set_byte(b, 20, 35))) AS beyond
FROM crm_profile_internal.segment_scheme_send('{"bins": 2, "segments": [{"segment": "A", "cells": [222], "lifecycle": ["new", "inactive"]}]}') b;

-- The same limits everywhere: what can be stored can be read
SELECT format('{"missing": %s, "attributes": [{"name": "a", "kind": "numeric"}]}', to_jsonb(array(SELECT 'w' || i FROM generate_series(1, 1000) i))) AS most,
	format('{"missing": %s, "attributes": [{"name": "a", "kind": "numeric"}]}', to_jsonb(array(SELECT 'w' || i FROM generate_series(1, 1001) i))) AS more \gset
SELECT m::text::profile_model = m AS same FROM (SELECT :'most'::profile_model) v (m);
SELECT :'more'::profile_model;
SELECT profile_fit(r, jsonb_build_object('missing', array(SELECT 'w' || i FROM generate_series(1, 10000) i))) FROM (VALUES (1), (2)) r (a);
SELECT '{"rows": 9223372036854775808, "attributes": [{"name": "a", "kind": "numeric"}]}'::profile_model;
SELECT '{"missing": [" N/A "], "missing_numbers": [-0.0], "attributes": [{"name": "a", "kind": "numeric", "low": -1}]}'::profile_model;

-- Texts survive clients of another encoding; the fingerprint is the same
SET client_encoding = LATIN1;
SELECT position('\xf6'::bytea IN b) > 0 AS latin, outcome(type, b) AS back, substr(b, 2, 8) = substr(bytes, 2, 8) AS same_fingerprint
FROM seen JOIN sample USING (id), crm_profile_internal.segment_scheme_send(CASE WHEN type = 'segment_scheme' THEN written END::segment_scheme) b WHERE id = 3;
RESET client_encoding;

\set fixture :abs_srcdir '/fixtures/received.sql'
\i :fixture
DROP SCHEMA test_models CASCADE;
