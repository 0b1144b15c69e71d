# A source is dumped and restored, a refresh is killed in the middle, and views are read on a standby
use strict;
use warnings;
use CrmProfile;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "restart_after_crash = on\nautovacuum = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('postgres', 'CREATE ROLE keeper LOGIN');
$node->safe_psql('shop', q{
	CREATE EXTENSION crm_profile;
	GRANT CREATE ON DATABASE shop TO keeper;
	CREATE TABLE customers (id int PRIMARY KEY, country text);
	CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, ordered_at timestamptz, amount numeric(10,2));
	INSERT INTO customers SELECT i, 'x' FROM generate_series(1, 3000) i;
	INSERT INTO orders SELECT i, 1 + i % 2900, timestamptz '2024-01-01 UTC' + i * interval '20 minutes', i % 97 FROM generate_series(1, 30000) i;
	GRANT SELECT ON customers, orders TO keeper;
	SET ROLE keeper;
	SELECT crm_profile.create_source('shop', 'customers', 'orders', as_of => '2025-12-31', time_zone => 'Europe/Vienna', period => '2 years', materialize => true, active_days => 60);
	SELECT crm_profile.refresh('shop')});
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;

my @views = qw(customer_profile segment_summary rfm_grid purchase_calendar segment_migration model model_card model_holdout customer_history);

# What the source shows, as text
sub shown
{
	my ($where) = @_;
	return $where->safe_psql('shop', join "\n", q{SET timezone = 'UTC';}, map { qq{SELECT '$_'; SELECT t::text FROM shop.$_ t ORDER BY t::text COLLATE "C";} } @views);
}

# The standby answers queries of the views, and rejects a refresh
$node->safe_psql('shop', q{INSERT INTO orders VALUES (40001, 2950, '2025-06-01', 5); SELECT crm_profile.refresh('shop')});
$node->wait_for_catchup($standby, 'replay', $node->lsn('write'));
is(shown($standby), shown($node), 'the standby shows the same');
my ($status, $out, $err) = $standby->psql('shop', q{SELECT crm_profile.refresh('shop')});
like($err, qr/read-only transaction|recovery/, 'no refresh on a standby');
$standby->stop;

# Dump and restore into a new database: the same rows, the same owner, and it works
my $file = PostgreSQL::Test::Utils::tempdir . '/shop.dump';
my $before = shown($node);
my $sources = $node->safe_psql('shop', 'SELECT name, owner, active_days, last_refresh FROM crm_profile.sources_details');
command_ok([ 'pg_dump', '-Fc', '-f', $file, '-d', $node->connstr('shop') ], 'dumped');
$node->safe_psql('postgres', 'ALTER DATABASE shop RENAME TO old');
$node->safe_psql('postgres', 'CREATE DATABASE shop');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('shop'), $file ], 'restored');
is(shown($node), $before, 'the same rows');
is($node->safe_psql('shop', 'SELECT name, owner, active_days, last_refresh FROM crm_profile.sources_details'), $sources, 'the same source');
is($node->safe_psql('shop', q{SELECT customers_written, customers_removed FROM crm_profile.refresh('shop')}), '0|0', 'a refresh finds nothing new');
is($node->safe_psql('shop', q{SET ROLE keeper; SELECT count(*) FROM crm_profile.sources}), '1', 'the owner has it');
$node->safe_psql('shop', q{INSERT INTO orders VALUES (40002, 2951, '2025-06-01', 5)});
is($node->safe_psql('shop', q{SELECT customers_written, customers_removed FROM crm_profile.refresh('shop')}), '1|0', 'and a refresh finds what is');

# Progress of a long refresh: what is done and how fast, every five seconds and after each part
$node->safe_psql('shop', q{
	CREATE FUNCTION slow(id int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF id = 1000 THEN PERFORM pg_sleep(5.5); END IF; RETURN true; END $$;
	GRANT CREATE ON DATABASE shop TO keeper;
	SET ROLE keeper;
	SELECT crm_profile.create_source('slow', 'customers', 'orders', order_filter => 'slow(id)', materialize => true)});
($status, $out, $err) = $node->psql('shop', q{SELECT crm_profile.refresh('slow', verbose => true)});
my $so_much = qr/in \d+\.\d s, \d+/;
like($err, qr{INFO:  source "slow": 1024 rows read $so_much rows/s\n}, 'rows read so far');
like($err, qr{INFO:  source "slow": 30002 rows read $so_much rows/s\n}, 'rows read');
like($err, qr{INFO:  source "slow": 2902 histories made $so_much customers/s\n}, 'histories made');
like($err, qr{INFO:  source "slow": 2902 histories indexed $so_much customers/s\n}, 'histories indexed');
like($err, qr{INFO:  source "slow": 2902 histories written, 0 removed, in \d+\.\d s\n}, 'histories written');
like($err, qr{INFO:  source "slow": thresholds of 2902 customers found in }, 'models fitted');
like($err, qr{INFO:  source "slow": 3000 profiles compared $so_much customers/s\n}, 'profiles compared');
like($err, qr{INFO:  source "slow": 3000 profiles written$}m, 'profiles written');
is(join('', grep { length > 80 } map { s/^psql:\S+ //r } grep { /INFO/ } split /\n/, $err), '', 'each line fits a terminal');
$node->safe_psql('shop', q{SET ROLE keeper; SELECT crm_profile.drop_source('slow')});

# SIGKILL at any moment of a refresh, until after its end: the old state or the new one, never a mix
my %seen;
my $old = shown($node);
$node->safe_psql('shop', q{UPDATE orders SET amount = amount + 1; SELECT crm_profile.refresh('shop')});
my $duration = $node->safe_psql('shop', q{SELECT refresh_seconds FROM crm_profile.sources_details WHERE name = 'shop'});
my $new = shown($node);
isnt($new, $old, 'each of these refreshes changes what is shown');
my $rounds = 20;
for my $round (1 .. $rounds)
{
	$old = $new;
	$node->safe_psql('shop', 'UPDATE orders SET amount = amount + 1');
	my ($in, $out, $err) = ('SELECT pg_backend_pid();' . "\n", '', '');
	my $refresh = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('shop') ], '<', \$in, '>', \$out, '2>', \$err);
	$refresh->pump until $out =~ /^(\d+)\n/;
	my $pid = $1;
	$in .= "SELECT crm_profile.refresh('shop');\n";
	$refresh->pump_nb while length $in;
	usleep(1_000_000 * $duration * 1.3 * $round / $rounds);
	my $logged = -s $node->logfile;
	kill 'KILL', $pid;
	$in .= "\\q\n";
	eval { $refresh->finish };
	# all other sessions end with it, and the server comes back
	for (1 .. 1000) { last if slurp_file($node->logfile, $logged) =~ /ready to accept connections/; usleep(20_000); }
	my $after = shown($node);
	$node->safe_psql('shop', q{SELECT crm_profile.refresh('shop')});
	$new = shown($node);
	$seen{ $after eq $old ? 'old' : $after eq $new ? 'new' : 'mix' }++;
}
note("$rounds refreshes killed over $duration s; after them the state was " . join ', ', map { "$_ $seen{$_} times" } sort keys %seen);
cmp_ok($seen{old} // 0, '>', 0, 'killed before the end: the old state');
is($seen{mix} // 0, 0, 'never a mix');

# Dropping the source drops everything
$node->safe_psql('shop', q{SELECT crm_profile.drop_source('shop'); DROP EXTENSION crm_profile});

done_testing();
