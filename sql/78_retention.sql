-- Retention: if old orders are dropped, histories keep their days

CREATE FUNCTION crm_profile_internal.history_since(history crm_profile.purchase_history, since date) RETURNS crm_profile.purchase_history
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN since IS NULL THEN history ELSE history OPERATOR(crm_profile.-) crm_profile.as_of(history, since - 1) END; -- the days of a history from since on; NULL for all of them

CREATE FUNCTION crm_profile_internal.kept_history(stored crm_profile.purchase_history, fresh crm_profile.purchase_history, before date) RETURNS crm_profile.purchase_history
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN stored IS NULL OR before IS NULL THEN fresh
		ELSE (SELECT CASE WHEN k.history OPERATOR(crm_profile.<>) '{}'::crm_profile.purchase_history THEN k.history END
			FROM (SELECT crm_profile.as_of(stored, before - 1) OPERATOR(crm_profile.||) coalesce(crm_profile_internal.history_since(fresh, before), '{}'::crm_profile.purchase_history) AS history) k) END;
COMMENT ON FUNCTION crm_profile_internal.kept_history IS
	'the days before a date as stored, later ones as they are in the orders now; NULL if neither has any; all as in the orders if before is NULL';

CREATE FUNCTION crm_profile_internal.both_histories(fresh text, stored text, same_fresh text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN format('(SELECT coalesce(n.customer, o.customer) AS customer, o.history AS was, n.history AS fresh, o.tid FROM %s n FULL JOIN %s o ON %s)', fresh, stored, same_fresh); -- SQL of histories as stored (was), with the places of their rows (tid), and as in the orders (fresh)

CREATE FUNCTION crm_profile_internal.write_histories(target regclass, taken text, pairs text, orders text, progress text, kept date, oldest date, population text, touched text,
	OUT written bigint, OUT removed bigint, OUT oldest_lost boolean, OUT followed bytea[], OUT keys text, OUT newcomers text, OUT without_customer boolean, OUT read_again bigint)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	history CONSTANT text := CASE WHEN kept IS NULL THEN 'b.fresh' ELSE 'crm_profile_internal.kept_history(b.was, b.fresh, $3)' END;
BEGIN
	EXECUTE format('WITH %1$sdifference AS MATERIALIZED (
			SELECT b.customer, %2$s AS history, b.was, b.tid, crm_profile.first_purchase(crm_profile_internal.history_since(b.was, $3)) AS first
			FROM %3$s b WHERE %2$s IS NULL OR b.was IS NULL OR %2$s OPERATOR(crm_profile.<>) b.was),
		gone AS (DELETE FROM %4$s o USING difference d WHERE o.ctid = d.tid AND d.history IS NULL RETURNING 1),
		changed AS (UPDATE %4$s o SET history = d.history FROM difference d WHERE o.ctid = d.tid AND d.history IS NOT NULL RETURNING 1),
		came AS (INSERT INTO %4$s SELECT d.customer, d.history FROM difference d WHERE d.tid IS NULL AND d.history IS NOT NULL RETURNING 1)
		SELECT (SELECT count(*) FROM changed) + (SELECT count(*) FROM came), (SELECT count(*) FROM gone),
			EXISTS (SELECT FROM difference d WHERE d.first <= $4 AND crm_profile.first_purchase(crm_profile_internal.history_since(d.history, $3)) IS DISTINCT FROM d.first), %5$s, %6$s',
		taken || ', ', history, pairs, target, coalesce(population, 'NULL::bytea[]'), coalesce(touched, 'NULL::text, NULL::text, NULL::boolean, NULL::bigint'))
		INTO written, removed, oldest_lost, followed, keys, newcomers, without_customer, read_again USING orders, progress, kept, oldest;
END $$; -- writes those histories that differ, of pairs as stored and fresh; days before kept stay as stored; taken: more of the WITH clause; oldest_lost: a customer lost an order of the day oldest, or before; population: SQL over the difference, with its result in followed; touched: SQL of keys, newcomers, without_customer and read_again

CREATE FUNCTION crm_profile_internal.oldest_stored(target regclass, since date) RETURNS date
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	oldest date;
BEGIN
	EXECUTE format('SELECT min(crm_profile.first_purchase(crm_profile_internal.history_since(h.history, $1))) FROM %s h', target) INTO oldest USING since;
	RETURN oldest;
END $$; -- the day of the oldest order in the histories from a day on

CREATE FUNCTION crm_profile_internal.old_orders_dropped(fresh text, stored text, same_fresh text, orders text, progress text, kept date, before date) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET row_security = off AS $$
DECLARE
	cut bigint;
	other bigint;
BEGIN
	-- if old orders were dropped, customers lose the days before and nothing else; not so if some were corrected or a
	-- customer was erased
	EXECUTE format('SELECT count(*) FILTER (WHERE d.cut), count(*) FILTER (WHERE NOT d.cut) FROM (
			SELECT crm_profile_internal.history_since(o.history, $4) OPERATOR(crm_profile.=) coalesce(crm_profile_internal.history_since(n.history, $4), ''{}'') AS cut
			FROM %1$s n FULL JOIN %2$s o ON %3$s
			WHERE crm_profile.as_of(crm_profile_internal.history_since(o.history, $3), $4 - 1) OPERATOR(crm_profile.<>) ''{}''
				AND crm_profile.as_of(crm_profile_internal.history_since(o.history, $3), $4 - 1) OPERATOR(crm_profile.<>) coalesce(crm_profile.as_of(crm_profile_internal.history_since(n.history, $3), $4 - 1), ''{}'')) d', fresh, stored, same_fresh)
		INTO cut, other USING orders, progress, kept, before;
	RETURN CASE WHEN cut >= 2 AND cut >= 9 * other THEN cut END;
END $$; -- number of customers who lost the days before a date, if they are at least two and nothing else changed for nine of ten; otherwise NULL
