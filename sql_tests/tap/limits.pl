# Large data: models of very many customers come from samples, bulk functions stay within their memory, long calls can be cancelled.
# And a source can be handed over.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = PostgreSQL::Test::Cluster->new('server');
$node->init;
# little shared memory, so that the part that a backend touches does not hide its private memory
$node->append_conf('postgresql.conf', "autovacuum = off\nshared_buffers = 8MB\nmax_wal_size = 4GB\njit = off\nmax_parallel_workers_per_gather = 0\n");
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE keeper LOGIN; CREATE ROLE heir LOGIN; CREATE DATABASE shop');
$node->safe_psql('shop', q{
	CREATE EXTENSION crm_profile;
	GRANT CREATE ON DATABASE shop TO keeper, heir;
	ALTER DATABASE shop SET search_path = public, crm_profile;
	CREATE UNLOGGED TABLE orders AS
		SELECT i % 300000 AS customer_id, date '2024-01-01' + (i::bigint * 7919 % 7001 / 10)::int AS ordered_on, (i::bigint * 104729 % 10000)::numeric / 100 AS amount
		FROM generate_series(1, 900000) i WHERE i <= 300000 OR i::bigint * 31 % 7 < 3;
	CREATE UNLOGGED TABLE customers AS SELECT i AS id, 20 + i % 50 AS age FROM generate_series(0, 299999) i;
	ALTER TABLE customers ADD PRIMARY KEY (id);
	ANALYZE});

# ---------- samples

$node->safe_psql('shop', q{
	GRANT SELECT ON customers, orders TO keeper, heir;
	SET ROLE keeper;
	SELECT create_source('shop', 'customers', 'orders', order_customer => 'customer_id', as_of => '2025-12-31', clv_model => 'mbg/nbd');
	SELECT refresh('shop')});
my $sampled = $node->safe_psql('shop', q{SELECT (clv_model_card(clv)).customers FROM shop.model});
cmp_ok(abs($sampled - 250000), '<', 2500, "the forecast is fitted to a sample of about 250 000 of 300 000 customers: $sampled");
is($node->safe_psql('shop', q{SELECT (clv_model_card(clv)).customers = (SELECT count(*) FROM shop.customer_history WHERE crm_profile_internal.in_sample(customer::text, 250000 / 300000.0)) FROM shop.model}),
	't', 'it is the sample of that share, by the key');
is($node->safe_psql('shop', q{SELECT rfm::text::jsonb ->> 'customers' FROM shop.model}), '300000', 'thresholds are those of all customers');
# as good as the whole: within three standard errors of the fit to everybody
is($node->safe_psql('shop', q{
	SELECT count(*) FROM shop.model, clv_parameters(clv) s JOIN (SELECT p.* FROM (SELECT clv_fit(history, '2025-12-31') AS m FROM shop.customer_history) f, clv_parameters(m) p) a USING (part, parameter)
	WHERE abs(s.estimate - a.estimate) > 3 * s.standard_error}), '0', 'no parameter lies off');
is($node->safe_psql('shop', q{SELECT customers_written FROM refresh('shop')}), '0', 'a second refresh changes nothing');
is($node->safe_psql('shop', q{SELECT count(*) FROM shop.model}), '1', 'and draws the same sample');

# ---------- handing a source over

$node->safe_psql('shop', q{REASSIGN OWNED BY keeper TO heir});
my ($status, $out, $err) = $node->psql('shop', q{SET ROLE keeper; SELECT refresh('shop')});
like($err, qr/must be owner of source "shop"|does not exist, or you are not its owner/, 'it is no longer the old owner\'s');
is($node->safe_psql('shop', q{SET ROLE heir; SELECT customers_written FROM refresh('shop')}), '0', 'the new owner refreshes it');
is($node->safe_psql('shop', q{SET ROLE heir; SELECT count(*) FROM shop.customer_profile}), '300000', 'and reads it');
$node->safe_psql('shop', q{SET ROLE heir; SELECT alter_source('shop', active_days => 50); SELECT drop_source('shop')});
is($node->safe_psql('shop', q{SELECT count(*) FROM pg_namespace WHERE nspname = 'shop'}), '0', 'and drops it');

# ---------- memory

# peak(QUERY): by how many MB a query raises the peak memory of a session
sub peak
{
	my ($query) = @_;
	my $most = q{SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s+(\d+) kB');};
	my ($before, @rest) = split /\n/, $node->safe_psql('shop', "SET work_mem = '1MB'; SET hash_mem_multiplier = 1; SELECT count(*) FROM orders \\g /dev/null\n$most\n$query \\g /dev/null\n$most");
	return ($rest[-1] - $before) / 1024;
}
SKIP:
{
	skip 'no /proc', 2 if !-r '/proc/self/status';
	# some 50 MB of purchases, and a million customers
	my $rows = q{$$SELECT i * 7919 % 1000003 AS customer, date '2024-01-01' + (i % 700)::int, 1.5 FROM generate_series(1::bigint, 3000000) i$$};
	for my $call ("collect_purchase_histories(NULL::bigint, $rows)", "rfm_scores(NULL::bigint, $rows, '2025-12-31')")
	{
		my $peak = peak("SELECT count(*) FROM $call");
		cmp_ok($peak, '<', 32, sprintf '%s within work_mem and 20 MB: %.1f MB', $call =~ s/\(.*//r, $peak);
	}
}

# ---------- cancelling

$node->safe_psql('shop', q{
	CREATE UNLOGGED TABLE history AS SELECT * FROM collect_purchase_histories(NULL::int, 'TABLE orders');
	CREATE UNLOGGED TABLE person AS SELECT id, age, 'c' || id % 300 AS city, sin(id) AS height, 'z' || id % 90000 AS street FROM customers;
	CREATE UNLOGGED TABLE model AS SELECT profile_fit(p, '{"ignore": ["id"]}') AS m FROM person p;
	CREATE UNLOGGED TABLE encoded AS SELECT id, profile(p, m) AS p FROM person p, model;
	ANALYZE});
my %long = (
	collect_purchase_histories => q{SELECT count(*) FROM collect_purchase_histories(NULL::text, 'SELECT repeat(''x'', 200) || customer_id, ordered_on, amount FROM orders')},
	rfm_scores => q{SELECT count(*) FROM rfm_scores(NULL::int, 'TABLE orders', '2025-12-31')},
	purchase_history_agg => q{SELECT length(purchase_history_agg(ordered_on + customer_id, amount)::text) FROM orders},
	clv_fit => q{SELECT clv_fit(history, '2025-12-31', 'pareto/nbd') FROM history},
	clv_holdout => q{SELECT clv_holdout(history, '2025-06-30', '2025-12-31', 'pareto/nbd') FROM history},
	rhythm_fit => q{SELECT rhythm_fit(history, '2025-12-31') FROM history},
	'profile_fit of a long set' => q{SELECT length(profile_fit(r)::text) FROM (SELECT ARRAY(SELECT 'v' || i FROM generate_series(1, 500000) i) AS a) r},
	attribute_relevance => q{SELECT count(*) FROM unnest((SELECT attribute_relevance(p, p.id % 7 = 0) FROM person p)) r},
	clv_record => q{SELECT clv_record(history, '2025-12-31', 90) FROM history},
	uplift_fit => q{SELECT length(uplift_fit(p, id % 2 = 0, hashint4(id) % 7 = 0)::text) FROM encoded},
	profile_groups_fit => q{SELECT profile_groups_fit(id::text, p) FROM encoded},
	basket_rules => q{SELECT count(*) FROM basket_rules('SELECT i / 5, ''p'' || i::bigint * i * 7919 % 3001 FROM generate_series(1, 600000) i', 0.00002)},
	'alarms of one customer with very many payments' => q{SELECT crm_profile_internal.payment_alarm(date '2000-01-01' + i * 7919 % 9000, date '2000-01-01' + i * 7919 % 9000 + i * 31 % 100, 1, '2025-12-31', 30) FROM generate_series(1, 200000) i},
	match_fit => q{SELECT length(match_fit(p, id % 7 = 0)::text) FROM encoded},
	nearest_profiles => q{SELECT count(*) FROM nearest_profiles(NULL::int, 'TABLE encoded', 'TABLE encoded')},
	match_prospects => q{SELECT count(*) FROM match_prospects(NULL::int, 'SELECT id, id % 7 = 0 AS is_target, age, city FROM person', 'SELECT -id, age, city FROM person')});
for my $what (sort keys %long)
{
	my ($worst, $cancelled, $full) = (0, 0, 0);
	for my $after (0.02, 0.1, 0.25, 0.5, 0.8, 1.3)
	{
		my $start = time;
		my ($status, $out, $err) = $node->psql('shop', "SET client_min_messages = error; SET statement_timeout = '" . int(1000 * $after) . "ms'; $long{$what}");
		my $took = time - $start;
		last if $status == 0;
		like($err, qr/canceling statement due to statement timeout/, "$what was cancelled") if $err !~ /canceling/;
		$cancelled++;
		$worst = $took - $after if $took - $after > $worst;
	}
	ok($cancelled > 0 && $worst < 1, sprintf '%s gives way: cancelled %d times, %.2f s late at most', $what, $cancelled, $worst);
}
$node->stop;
done_testing();
