# A source is dumped and restored, its refresh killed in the middle, and its views read on a standby
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
	return join "\n", map { "$_:\n" . $where->safe_psql('shop', qq{SET timezone = 'UTC'; SELECT t::text FROM shop.$_ t ORDER BY t::text COLLATE "C"}) } @views;
}

# The standby answers the views, and says no to a refresh
$node->safe_psql('shop', q{INSERT INTO orders VALUES (40001, 2950, '2025-06-01', 5); SELECT crm_profile.refresh('shop')});
$node->wait_for_catchup($standby, 'replay', $node->lsn('write'));
is(shown($standby), shown($node), 'the standby shows the same');
my ($status, $out, $err) = $standby->psql('shop', q{SELECT crm_profile.refresh('shop')});
like($err, qr/read-only transaction|recovery/, 'no refresh on a standby');
$standby->stop;

# Dump and restore into a fresh database: the same rows, the same owner, and it goes on working
my $file = PostgreSQL::Test::Utils::tempdir . '/shop.dump';
my $before = shown($node);
my $sources = $node->safe_psql('shop', 'SELECT name, owner, active_days, last_refresh FROM crm_profile.sources');
command_ok([ 'pg_dump', '-Fc', '-f', $file, '-d', $node->connstr('shop') ], 'dumped');
$node->safe_psql('postgres', 'ALTER DATABASE shop RENAME TO old');
$node->safe_psql('postgres', 'CREATE DATABASE shop');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('shop'), $file ], 'restored');
is(shown($node), $before, 'the same rows');
is($node->safe_psql('shop', 'SELECT name, owner, active_days, last_refresh FROM crm_profile.sources'), $sources, 'the same source');
is($node->safe_psql('shop', q{SELECT customers_written, customers_removed FROM crm_profile.refresh('shop')}), '0|0', 'a refresh finds nothing new');
is($node->safe_psql('shop', q{SET ROLE keeper; SELECT count(*) FROM crm_profile.sources}), '1', 'the owner has it');
$node->safe_psql('shop', q{INSERT INTO orders VALUES (40002, 2951, '2025-06-01', 5)});
is($node->safe_psql('shop', q{SELECT customers_written, customers_removed FROM crm_profile.refresh('shop')}), '1|0', 'and a refresh finds what is');

# SIGKILL in the middle of a refresh: the old state or the new one, never a mix
my %seen;
my $killed = 0;
for my $round (1 .. 12)
{
	my $old = shown($node);
	$node->safe_psql('shop', 'UPDATE orders SET amount = amount + 1');
	my ($in, $out, $err) = ('', '', '');
	my $refresh = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('shop'), '-c', "SELECT crm_profile.refresh('shop')" ], '<', \$in, '>', \$out, '2>', \$err);
	usleep(20_000 * $round);
	my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE query LIKE '%refresh(%' AND state = 'active' AND pid <> pg_backend_pid()});
	$killed += kill 'KILL', $pid if $pid;
	$refresh->finish;
	# it may be between going down and coming up
	for (1 .. 100) { my ($ret) = $node->psql('postgres', 'SELECT 1', connstr => $node->connstr('postgres')); last if $ret == 0; usleep(100_000); }
	my $after = shown($node);
	$node->safe_psql('shop', q{SELECT crm_profile.refresh('shop')});
	$seen{ $after eq $old ? 'old' : $after eq shown($node) ? 'new' : 'mix' }++;
}
diag("killed $killed refreshes; after them the state was " . join ', ', map { "$_ $seen{$_} times" } sort keys %seen);
ok($killed > 0, 'refreshes were killed');
is($seen{mix} // 0, 0, 'never a mix');

# The source goes, and with it everything
$node->safe_psql('shop', q{SELECT crm_profile.drop_source('shop'); DROP EXTENSION crm_profile});

done_testing();
