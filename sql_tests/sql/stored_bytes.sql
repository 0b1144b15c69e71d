-- The bytes of values are the same on every processor, whatever its order of bytes: in binary COPY, in replication, and in the fingerprints that tell
-- models apart. What stands here was the same on amd64 and on s390x, which is big-endian.
SET search_path = crm_profile, pg_catalog;
SET extra_float_digits = 1;
-- by the description of the format (docs/purchase_history.md), by hand: version, flags, then for each day gap, orders and sign, amount, costs
SELECT written, encode(crm_profile_internal.purchase_history_send(written::purchase_history), 'hex') = bytes AS as_described
FROM (VALUES ('{2015-01-01: 127, 2015-03-05: 127}', '0100' || '00' || '7f' || '7c' || '7f'),
	-- 3346 days, zigzag and one bit: 13384; 1234 hundredths; the day after, no order, negative, 500 hundredths
	('{2024-02-29: 12.34, 2024-03-01: -5 (0 orders)}', '0104' || 'c868' || 'd209' || '01' || '01' || 'f403'),
	('{}', '0100')) v(written, bytes);
-- models: a version, eight bytes of sha256, then fields; floats are IEEE 754, the high byte first
SELECT encode(substr(b, 1, 1), 'hex') AS version, substr(b, 2, 8) = substr(sha256(substr(b, 10)), 1, 8) AS fingerprint, encode(substr(b, 12), 'hex') AS parameters FROM crm_profile_internal.clv_model_send(clv_model('bg/nbd', '{1, 2, 3, 4}')) b;
CREATE TEMP TABLE value (id int, type text, bytes bytea);
INSERT INTO value VALUES (1, 'rfm_score', crm_profile_internal.rfm_score_send('434/4')), (2, 'rfm_model', crm_profile_internal.rfm_model_send(rfm_model('{30, 90.5}', '{1, 2}', '{10, 99.999999}'))),
	(3, 'rhythm_model', crm_profile_internal.rhythm_model_send(rhythm_model(3, 1.5, 20))), (4, 'contract_model', crm_profile_internal.contract_model_send(contract_model(0.668, 3.806))),
	(5, 'donation_model', crm_profile_internal.donation_model_send(donation_model(1.204, 0.75, 0.657, 2.783))),
	(6, 'segment_scheme', crm_profile_internal.segment_scheme_send('{"bins": 2, "segments": [{"segment": "Best", "cells": [222, 221]}, {"segment": "Größe", "cells": [212, 211, 122, 121, 112, 111]}]}'));
SELECT id, type, encode(bytes, 'hex') AS bytes FROM value ORDER BY id;
-- what is learnt from rows: dictionaries, ranges, hashes, sums in a fixed order; the long ones by their sha256
CREATE TEMP TABLE person AS SELECT i AS id, (ARRAY['Köln', 'Ulm', 'Bonn', 'Trier'])[1 + i * i % 4] AS town, 18 + i * 7 % 60 AS age, date '2020-01-01' + i * 13 % 900 AS since, i % 3 = 0 AS member, (ARRAY['tea', 'rum', 'gin'])[1:1 + i % 3] AS likes,
	((i * 37 % 1000) / 8.0)::float8 AS worth, i % 7 < 2 AS best FROM generate_series(1, 400) i;
CREATE TEMP TABLE learnt AS SELECT profile_fit(p, '{"ignore": ["id", "best"]}') AS model FROM person p;
CREATE TEMP TABLE encoded AS SELECT p.id, p.best, profile(p, l.model) AS p FROM person p, learnt l;
SELECT encode(sha256(crm_profile_internal.profile_model_send(model)), 'hex') AS profile_model, fingerprint(model) FROM learnt;
SELECT id, encode(crm_profile_internal.profile_send(p), 'hex') AS profile FROM encoded WHERE id IN (1, 200) ORDER BY id;
SELECT encode(sha256(string_agg(crm_profile_internal.profile_send(p), '' ORDER BY id)), 'hex') AS all_profiles FROM encoded;
SELECT encode(sha256(string_agg((e.p <-> f.p)::text::bytea, '' ORDER BY e.id)), 'hex') AS distances FROM encoded e JOIN encoded f ON f.id = e.id % 400 + 1;
-- chance comes from the key, the same everywhere
SELECT string_agg(i::text, ' ' ORDER BY i) AS sampled FROM generate_series(1, 60) i WHERE crm_profile_internal.in_sample('key ' || i, 0.2);
SELECT encode(sha256(string_agg(crm_profile_internal.purchase_history_send(h), '' ORDER BY c)), 'hex') AS histories
FROM (SELECT c, purchase_history_agg(day, amount, cost) AS h FROM (SELECT i % 50 AS c, date '2010-01-01' + i * i % 5000 AS day, (i * 7919 % 100000) / 100.0 - 50 AS amount, CASE WHEN i % 3 > 0 THEN (i % 977) / 10.0 END AS cost FROM generate_series(1, 3000) i) o GROUP BY c) g;
