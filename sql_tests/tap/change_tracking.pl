# Triggers note changes: no change is lost with many writers at once, killed servers, prepared transactions, on a promoted standby, after dump and
# restore, or with logical replication. CHANGE_ROUNDS=100 makes it kill the server a hundred times.
use strict;
use warnings;
use CrmProfile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rounds = $ENV{CHANGE_ROUNDS} || 4;
my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 'logical');
$node->append_conf('postgresql.conf', "restart_after_crash = on\nmax_prepared_transactions = 5\nautovacuum_naptime = 1\nclient_min_messages = error\n");
$node->start;

my $tables = q{
	CREATE EXTENSION crm_profile;
	CREATE TABLE customers (id int PRIMARY KEY);
	CREATE TABLE orders (id bigserial PRIMARY KEY, customer_id int, day date, amount numeric(10,2));
	CREATE VIEW orders_25 AS SELECT * FROM orders; -- the writers' partition, where there are partitions
	CREATE INDEX ON orders (customer_id);
	CREATE FUNCTION differs(OUT text) LANGUAGE plpgsql AS $$ BEGIN
		SELECT count(*) || CASE WHEN (SELECT unassigned FROM shop.model ORDER BY id DESC LIMIT 1)::text
			IS DISTINCT FROM (SELECT crm_profile.purchase_history_agg(day, amount) FROM orders WHERE customer_id IS NULL)::text THEN ' unassigned' ELSE '' END
			|| CASE WHEN EXISTS (SELECT FROM shop.model_in_use m, shop.source_definition d WHERE ROW(m.rfm, d.customer_base)::text IS DISTINCT FROM (
				SELECT ROW(crm_profile.rfm_fit(h.history, m.as_of, 5), crm_profile.customer_base_fit(h.history, m.as_of, NULL, false))::text FROM shop.customer_history h)) THEN ' thresholds' ELSE '' END INTO $1
			FROM crm_profile.collect_purchase_histories(NULL::int, 'SELECT customer_id, day, amount FROM orders') n FULL JOIN shop.customer_history h USING (customer)
			WHERE (n.history OPERATOR(crm_profile.=) h.history) IS NOT TRUE;
	END $$};
my $source = q{SELECT crm_profile.create_source('shop', 'customers', 'orders', as_of => '2026-01-01', track_changes => 'keys', clv_model => 'bg/nbd'); SELECT crm_profile.refresh('shop')};

$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('shop', $tables);
$node->safe_psql('shop', q{INSERT INTO customers SELECT generate_series(1, 2000);
	INSERT INTO orders (customer_id, day, amount) SELECT 1 + i % 1900, date '2024-01-01' + i % 700, i % 97 FROM generate_series(1, 20000) i});
$node->safe_psql('shop', $source);

# Concurrent writers, and refreshes between them
start($node, 'shop', write_forever("0.$_", 500 * ($rounds < 10 ? $rounds : 10))) for 1 .. 3;
my ($refreshes, $changes, $read) = (0, 0, 0);
# one that writes in the same transaction, before and after, in a savepoint that is rolled back, one in an older snapshot, and one that is rolled back
my $own = q{INSERT INTO orders (customer_id, day, amount) VALUES (11, '2025-01-05', 3), (12, '2025-01-05', 3); UPDATE orders SET amount = amount + 1 WHERE id IN (SELECT max(id) FROM orders WHERE customer_id = 13)};
my @ways = (q{SELECT crm_profile.refresh('shop')}, "BEGIN; $own; SELECT crm_profile.refresh('shop'); $own; COMMIT", "BEGIN; $own; SAVEPOINT s; SELECT crm_profile.refresh('shop'); $own; ROLLBACK TO s; $own; COMMIT",
	"BEGIN ISOLATION LEVEL REPEATABLE READ; $own; SELECT crm_profile.refresh('shop'); COMMIT", "BEGIN; $own; SELECT crm_profile.refresh('shop'); ROLLBACK", "BEGIN; SAVEPOINT s; $own; SELECT crm_profile.refresh('shop'); RELEASE s; $own; COMMIT");
while (running())
{
	my $was = $node->safe_psql('shop', q{SELECT tracking ->> 'marker' FROM shop.source_definition});
	# a writer may be in the way of its updates
	eval { $node->safe_psql('shop', $ways[ $refreshes % 3 == 0 ? 1 + rand(@ways - 1) : 0 ]) };
	$changes++ if $was eq $node->safe_psql('shop', q{SELECT tracking ->> 'marker' FROM shop.source_definition});
	$read += $node->safe_psql('shop', q{SELECT tracking ->> 'read_again' > '0' FROM shop.source_definition}) eq 't';
	$refreshes++;
	is($node->safe_psql('shop', q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT crm_profile.refresh('shop'); SELECT differs()}) =~ s/.*\n//r, '0', "the same as a rebuild after $refreshes refreshes") if $refreshes % 20 == 0;
}
settled();
$node->safe_psql('shop', q{SELECT crm_profile.refresh('shop')});
is($node->safe_psql('shop', 'SELECT differs()'), '0', "nothing lost under three writers and $refreshes refreshes");
is($changes, $refreshes, 'each of which took what had changed alone');
cmp_ok($read, '<', $refreshes / 2, 'and most of them without reading orders again');

# The server killed at some moment during writes and a refresh
for my $round (1 .. $rounds)
{
	start($node, 'shop', write_forever("0.$round$_", 100000)) for 1 .. 2;
	start($node, 'shop', (q{SELECT crm_profile.refresh('shop')}) x 1000);
	kill_server($node) or next;
	# sometimes further changes before the first refresh that sees what happened
	$node->safe_psql('shop', q{INSERT INTO orders (customer_id, day, amount) VALUES (3, '2025-01-01', 1)}) if $round % 2;
	$node->safe_psql('shop', q{SELECT crm_profile.refresh('shop')});
	is($node->safe_psql('shop', 'SELECT differs()'), '0', "nothing lost in crash $round");
	like($node->safe_psql('shop', q{SELECT tracking ->> 'read_all' FROM shop.source_definition}), qr/emptied/, 'it had been noticed');
}

# What a refresh read: changes, or all orders
sub refreshed
{
	my ($where) = @_;
	my $marker = q{SELECT coalesce(tracking ->> 'marker', 'none ' || random()) FROM shop.source_definition};
	my $was = $where->safe_psql('shop', $marker);
	$where->safe_psql('shop', q{SELECT crm_profile.refresh('shop')});
	return ($was eq $where->safe_psql('shop', $marker) ? 'changes ' : 'all ') . $where->safe_psql('shop', 'SELECT differs()');
}

# A clean restart keeps the queue
$node->safe_psql('shop', q{INSERT INTO orders (customer_id, day, amount) VALUES (3, '2025-01-02', 1)});
$node->restart;
is(refreshed($node), 'changes 0', 'after a restart the changes are still known');

# Prepared transactions: their keys are stored with them, and are lost in a crash, which the transactions survive
$node->safe_psql('shop', q{BEGIN; INSERT INTO orders (customer_id, day, amount) VALUES (4, '2025-01-02', 1); PREPARE TRANSACTION 'one'});
is(refreshed($node), 'changes 0', 'a prepared transaction is not seen');
$node->safe_psql('shop', q{COMMIT PREPARED 'one'});
is(refreshed($node), 'changes 0', 'once committed it is');
$node->safe_psql('shop', q{BEGIN; INSERT INTO orders (customer_id, day, amount) VALUES (5, '2025-01-02', 1); PREPARE TRANSACTION 'two'});
$node->stop('immediate');
$node->start;
is(refreshed($node), 'all 0', 'after a crash all orders are read');
$node->safe_psql('shop', q{COMMIT PREPARED 'two'});
is(refreshed($node), 'all 0', 'and again, as long as there was a transaction from before');
is(refreshed($node), 'changes 0', 'then changes are enough');

# A standby that is promoted has no queue
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->safe_psql('shop', q{INSERT INTO orders (customer_id, day, amount) VALUES (6, '2025-01-02', 1)});
$node->wait_for_catchup($standby, 'replay', $node->lsn('write'));
is($standby->safe_psql('shop', q{SELECT warning IS NULL AND changes_queued IS NULL FROM crm_profile.sources_details}), 't', 'a standby shows the source, and has no queue');
$standby->promote;
$standby->safe_psql('shop', q{INSERT INTO orders (customer_id, day, amount) VALUES (7, '2025-01-02', 1)});
is(refreshed($standby), 'all 0', 'a promoted standby reads all orders');
$standby->safe_psql('shop', q{INSERT INTO orders (customer_id, day, amount) VALUES (8, '2025-01-02', 1)});
is(refreshed($standby), 'changes 0', 'and changes from then on');
$standby->stop;

# Dump and restore: triggers are restored, and linked to their queue
my $file = PostgreSQL::Test::Utils::tempdir . '/shop.dump';
command_ok([ 'pg_dump', '-Fc', '-f', $file, '-d', $node->connstr('shop') ], 'dumped');
$node->safe_psql('postgres', 'ALTER DATABASE shop RENAME TO old');
$node->safe_psql('postgres', 'CREATE DATABASE shop');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('shop'), $file ], 'restored');
$node->safe_psql('shop', q{INSERT INTO orders (customer_id, day, amount) VALUES (9, '2025-01-02', 1)});
is(refreshed($node), 'all 0', 'a restored source reads all orders');
is(refreshed($node), 'all 0', 'once more after its triggers were put right');
$node->safe_psql('shop', q{INSERT INTO orders (customer_id, day, amount) VALUES (9, '2025-01-03', 1)});
is(refreshed($node), 'changes 0', 'and changes from then on');
is($node->safe_psql('shop', q{SELECT count(*) FROM pg_trigger WHERE tgrelid = 'orders'::regclass AND NOT tgisinternal}), '1', 'by one trigger');

# Orders that logical replication applies
$node->safe_psql('postgres', 'ALTER DATABASE shop RENAME TO publisher');
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('shop', $tables);
$node->safe_psql('shop', $source);
$node->safe_psql('publisher', q{CREATE PUBLICATION orders FOR TABLE orders; SELECT pg_create_logical_replication_slot('orders', 'pgoutput')});
my $publisher = $node->connstr('publisher') =~ s/'/''/gr;
$node->safe_psql('shop', qq{CREATE SUBSCRIPTION orders CONNECTION '$publisher' PUBLICATION orders WITH (create_slot = false, copy_data = false)});
$node->safe_psql('publisher', q{INSERT INTO orders (customer_id, day, amount) VALUES (10, '2025-01-02', 1)});
$node->wait_for_catchup('orders');
is($node->safe_psql('shop', 'SELECT added, order_1, order_2, order_3 FROM shop.change_queue WHERE marker IS NULL'), '{t}|{10}|{2025-01-02}|{1.00}', 'what replication applies is noted');
$node->safe_psql('shop', 'DROP SUBSCRIPTION orders');
$node->stop;
done_testing();
