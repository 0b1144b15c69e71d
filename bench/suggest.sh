#!/usr/bin/env bash
# suggest_sources() in a database of 5 000 tables: a hundred tenants with a schema of 30 each, and 2 000 tables of one large application
set -euo pipefail
run_psql() { psql -X -q -v ON_ERROR_STOP=1 "$@"; }

run_psql <<'SQL'
SET client_min_messages = error;
DO $$
BEGIN
	FOR i IN 1..100 LOOP
		EXECUTE format('CREATE SCHEMA t%1$s; CREATE TABLE t%1$s.customers (id int PRIMARY KEY, name text, email text, created_at timestamp); CREATE TABLE t%1$s.users (id int PRIMARY KEY, login text);
			CREATE TABLE t%1$s.orders (id int PRIMARY KEY, customer_id int REFERENCES t%1$s.customers, created_by int REFERENCES t%1$s.users, ordered_at timestamp, status text, total numeric, tax numeric, updated_at timestamp);
			CREATE TABLE t%1$s.order_items (order_id int REFERENCES t%1$s.orders, product_id int, price numeric, quantity int)', i);
		FOR j IN 5..30 LOOP
			EXECUTE format('CREATE TABLE t%s.thing_%s (id int PRIMARY KEY, name text, user_id int, customer_id int, created_at timestamp, updated_at timestamp, amount numeric, status text, note text, position int)', i, j);
		END LOOP;
		COMMIT;
	END LOOP;
	CREATE SCHEMA erp;
	FOR i IN 1..2000 LOOP
		EXECUTE format('CREATE TABLE erp.mod%s_rec%s (rec%2$s_id int PRIMARY KEY, f%2$s_name text, f%2$s_amount numeric, f%2$s_date date, partner_id int, rec%3$s_id int, f%2$s_state text, create_uid int, write_date timestamp)', i % 40, i, i + 1);
		IF i % 50 = 0 THEN
			COMMIT;
		END IF;
	END LOOP;
	CREATE TABLE erp.res_partner (id int PRIMARY KEY, name text);
	CREATE TABLE erp.sale_order (id int PRIMARY KEY, partner_id int REFERENCES erp.res_partner, date_order timestamp, amount_total numeric);
END $$;
ANALYZE pg_class, pg_attribute, pg_constraint, pg_index;
CREATE TABLE measured (seconds float8, cpu float8);
SQL
for ((round = 1; round <= ${BENCH_ROUNDS:-5}; round++)); do
  run_psql <<'SQL'
SELECT (string_to_array(pg_read_file(format('/proc/%s/stat', pg_backend_pid())), ' '))[14]::int AS cpu, clock_timestamp() AS began \gset
SELECT count(*) FROM crm_profile.suggest_sources() \g /dev/null
INSERT INTO measured SELECT extract(epoch FROM clock_timestamp() - :'began'), ((string_to_array(pg_read_file(format('/proc/%s/stat', pg_backend_pid())), ' '))[14]::int - :cpu) / 100.0;
SQL
done
echo "suggest_sources() over $(run_psql -At -c "SELECT count(*) FROM pg_class WHERE relkind = 'r'") tables; $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores"
run_psql -c 'SELECT round(min(seconds)::numeric, 2) AS best, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds)::numeric, 2) AS median, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY cpu)::numeric, 2) AS cpu FROM measured'
echo 'Target: within a second.'
