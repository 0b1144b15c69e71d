# Queries of orders in parallel workers: the workers do the work, and leave nothing behind, however a query ends
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('server');
$node->init;
# shared memory in files, so that leftovers can be seen
$node->append_conf('postgresql.conf', q{
autovacuum = off
jit = off
dynamic_shared_memory_type = mmap
min_parallel_table_scan_size = 0
parallel_setup_cost = 0
max_parallel_workers_per_gather = 2
work_mem = 64kB
hash_mem_multiplier = 1
log_temp_files = 0
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION crm_profile;
	ALTER DATABASE postgres SET search_path = public, crm_profile;
	CREATE TABLE purchase AS SELECT repeat(i::text, 60) AS customer, date '2024-01-01' + i % 700 AS day, (i % 999)::numeric / 100 AS amount FROM generate_series(1, 70000) i;
	ALTER TABLE purchase SET (parallel_workers = 2);
	CREATE FUNCTION process() RETURNS int LANGUAGE plpgsql PARALLEL SAFE AS 'BEGIN RETURN pg_backend_pid(); END';
	CREATE FUNCTION slowly(n int) RETURNS int LANGUAGE plpgsql PARALLEL SAFE AS 'BEGIN PERFORM pg_sleep(0.01); RETURN n; END'});

my $all = q{'SELECT customer, day, amount FROM purchase'};

# nothing_left(WHAT): no worker, no temporary file and no more shared memory than before
my $segments = $node->safe_psql('postgres', q{SELECT count(*) FROM pg_ls_dir('pg_dynshmem')});
sub nothing_left
{
	my ($what) = @_;
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'parallel worker'}), "$what: no worker is left");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_ls_dir('base/pgsql_tmp', true, false)}), '0', "$what: no file");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_ls_dir('pg_dynshmem')}), $segments, "$what: no memory");
	return;
}

# failing(SETTINGS, QUERY): the error of a call
sub failing
{
	my ($settings, $query) = @_;
	my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSET parallel_leader_participation = off;\n$settings;\n$query");
	return $err;
}

# each worker uses itself as the customer of the rows that it reads
is($node->safe_psql('postgres', q{SET parallel_leader_participation = off; SELECT count(*) > 0 AND bool_and(customer <> pg_backend_pid())
	FROM collect_purchase_histories(NULL::int, 'SELECT process(), day, amount FROM purchase')}), 't', 'workers read the rows');
nothing_left('after a query');

# ---------- memory

my $log = -s $node->logfile;
is($node->safe_psql('postgres', qq{
	SET max_parallel_workers_per_gather = 0;
	CREATE TEMP TABLE alone AS SELECT * FROM collect_purchase_histories(NULL::text, $all);
	SET max_parallel_workers_per_gather = 2;
	SELECT count(*), count(*) FILTER (WHERE a.history = t.history) FROM alone a FULL JOIN collect_purchase_histories(NULL::text, $all) t USING (customer)}),
	'70000|70000', 'what is in files comes back');
like(slurp_file($node->logfile, $log), qr/fileset.*orders\d+\.\d+/, 'they are files that the workers share');
nothing_left('with files');
like(failing('SET temp_file_limit = 1024', "SELECT count(*) FROM collect_purchase_histories(NULL::text, $all)"), qr/53400: .*temporary file size exceeds temp_file_limit/, 'temp_file_limit holds');
nothing_left('temp_file_limit');

# ---------- errors

my $error = failing('', q{SELECT count(*) FROM rfm_scores(NULL::text, 'SELECT customer, day, CASE WHEN day = ''2025-11-30'' THEN 0.1234567 ELSE amount END FROM purchase', '2025-12-31')});
like($error, qr/ERROR:  22023: amount 0.1234567 has more than 6 decimals/, 'an error of a worker is that of the query');
like($error, qr/parallel worker/, 'it was a worker');
nothing_left('an error');
my $slow = q{SELECT count(*) FROM rfm_scores(NULL::text, 'SELECT customer, day, slowly(1) FROM purchase', '2025-12-31')};
like(failing("SET statement_timeout = '500ms'", $slow), qr/57014: canceling statement due to statement timeout/, 'it can be cancelled');
nothing_left('cancelled');

my ($out, $err) = ('', '');
my $run = IPC::Run::start([ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-c', $slow ], '<', \undef, '>', \$out, '2>', \$err);
$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'parallel worker' AND wait_event = 'PgSleep'});
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'parallel worker'});
$run->finish;
like($err, qr/terminating .* due to administrator command/, 'the end of a worker is an error of the query');
nothing_left('a worker was terminated');

# a subtransaction is rolled back with its workers, and the transaction goes on
is($node->safe_psql('postgres', qq{
	DO \$\$ BEGIN PERFORM * FROM collect_purchase_histories(NULL::text, 'SELECT customer, day, 1 / (day - ''2025-11-30'') FROM purchase'); EXCEPTION WHEN division_by_zero THEN NULL; END \$\$;
	SELECT count(*) FROM collect_purchase_histories(NULL::text, $all)}), '70000', 'after a caught error the next query runs');
nothing_left('a caught error');

# ---------- customers that wait in shared memory until they are read

# far fewer purchase days than orders: all histories find room where purchases were
$node->safe_psql('postgres', q{
	CREATE TABLE often AS SELECT i % 30000 AS customer, date '2024-01-01' + i / 100000 AS day, 1.5 AS amount FROM generate_series(1, 900000) i;
	ALTER TABLE often SET (parallel_workers = 2);
	ALTER DATABASE postgres SET work_mem = '16MB'});
my $often = q{collect_purchase_histories(NULL::int, 'SELECT customer, day, amount FROM often')};
is($node->safe_psql('postgres', "SELECT count(*), sum(monetary(history)) FROM $often"), '30000|1350000.0', 'all of them');
nothing_left('read to the end');
is($node->safe_psql('postgres', "SELECT count(*) FROM (SELECT FROM $often LIMIT 7) c"), '7', 'not read to the end');
nothing_left('not read to the end');
like(failing('', "SELECT count(1 / (customer - 777)) FROM $often"), qr/22012: division by zero/, 'an error of the query around');
nothing_left('an error of the query around');
is($node->safe_psql('postgres', qq{
	BEGIN;
	DECLARE c CURSOR FOR SELECT customer FROM $often;
	MOVE 10 IN c;
	SAVEPOINT s;
	MOVE 10 IN c;
	DO \$\$ BEGIN PERFORM 1 / (customer - 777) FROM $often; EXCEPTION WHEN division_by_zero THEN NULL; END \$\$;
	ROLLBACK TO s;
	MOVE FORWARD 29980 IN c;
	FETCH c;
	SELECT count(*) FROM $often;
	ROLLBACK}), '30000', 'a cursor keeps its customers');
nothing_left('a cursor');
# a session keeps what its first parallel query needed
is($node->safe_psql('postgres', qq{
	SELECT count(*) FROM $often;
	CREATE TEMP TABLE before AS SELECT count(*) AS segments FROM pg_ls_dir('pg_dynshmem');
	BEGIN;
	DECLARE c CURSOR WITH HOLD FOR SELECT customer FROM $often;
	MOVE 10 IN c;
	SELECT count(*) > segments FROM pg_ls_dir('pg_dynshmem'), before GROUP BY segments;
	COMMIT;
	SELECT count(*) > segments FROM pg_ls_dir('pg_dynshmem'), before GROUP BY segments;
	MOVE FORWARD 29990 IN c;
	FETCH c}), "30000\nt\nf", 'a cursor that outlives its transaction');
nothing_left('a cursor that outlives its transaction');
$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET work_mem');

# ---------- fits

$node->safe_psql('postgres', q{
	CREATE TABLE history AS SELECT i AS customer, purchase_history_agg(date '2021-01-01' + (i * 7919 + k * (20 + i % 90)) % 1090, 10 + i % 50) AS history
		FROM generate_series(1, 20000) i, generate_series(0, 1 + i % 12) k GROUP BY i;
	ALTER TABLE history SET (parallel_workers = 0)});
my $fits = q{SELECT cardinality(clv_record(history, '2024-01-01', 90)) FROM history};
foreach my $end ('cancel', 'terminate')
{
	($out, $err) = ('', '');
	$run = IPC::Run::start([ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-c', $fits ], '<', \undef, '>', \$out, '2>', \$err);
	# the scan has no worker: it is one that makes pieces
	$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'parallel worker'});
	$node->safe_psql('postgres', $end eq 'cancel' ? q{SELECT pg_cancel_backend(leader_pid) FROM pg_stat_activity WHERE backend_type = 'parallel worker'}
		: q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'parallel worker'});
	$run->finish;
	like($err, $end eq 'cancel' ? qr/canceling statement due to user request/ : qr/terminating .* due to administrator command/, "fits: $end");
	nothing_left("fits: $end");
}

done_testing();
