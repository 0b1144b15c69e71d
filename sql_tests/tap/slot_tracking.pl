# track_changes => 'slot': a refresh takes the keys of changed customers from the write-ahead log. The result is that of reading all orders, whatever is
# written, with concurrent writers, and with a killed server; SLOT_ROUNDS=100 makes it kill the server a hundred times.
use strict;
use warnings;
use CrmProfile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rounds = $ENV{SLOT_ROUNDS} || 3;
my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 'logical');
$node->append_conf('postgresql.conf', "restart_after_crash = on\nmax_prepared_transactions = 5\nautovacuum_naptime = 1\nclient_min_messages = error\nmax_replication_slots = 3\n");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('shop', q{
	CREATE EXTENSION crm_profile;
	CREATE ROLE keeper REPLICATION LOGIN;
	CREATE ROLE other LOGIN;
	GRANT CREATE ON DATABASE shop TO keeper, other;
	GRANT CREATE ON SCHEMA public TO keeper, other;
	SET ROLE keeper;
	CREATE TABLE customers (id text PRIMARY KEY);
	CREATE TABLE orders (id bigserial, customer_id text, day date, amount numeric(10,2), note text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
	CREATE TABLE orders_24 PARTITION OF orders FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
	CREATE TABLE orders_25 PARTITION OF orders FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
	CREATE INDEX ON orders (customer_id);
	GRANT SELECT ON customers, orders TO other;
	INSERT INTO customers SELECT generate_series(1, 2000);
	INSERT INTO orders (customer_id, day, amount) SELECT 1 + i % 1900, date '2024-01-01' + i % 700, i % 97 FROM generate_series(1, 20000) i;
	CREATE FUNCTION differs(OUT text) LANGUAGE plpgsql AS $$ BEGIN
		SELECT count(*) || CASE WHEN (SELECT unassigned FROM shop.model ORDER BY id DESC LIMIT 1)::text
			IS DISTINCT FROM (SELECT crm_profile.purchase_history_agg(day, amount) FROM orders WHERE customer_id IS NULL)::text THEN ' unassigned' ELSE '' END INTO $1
			FROM crm_profile.collect_purchase_histories(NULL::text, 'SELECT customer_id, day, amount FROM orders') n FULL JOIN shop.customer_history h USING (customer)
			WHERE (n.history OPERATOR(crm_profile.=) h.history) IS NOT TRUE;
	END $$});
sub sql { return $node->safe_psql('shop', "SET ROLE keeper; $_[0]") }
sub fails { my ($out, $err); $node->psql('shop', "SET client_min_messages = notice; SET ROLE $_[0]; $_[1]", stderr => \$err); return $err }

# Requirements
my $create = q{SELECT FROM crm_profile.create_source('shop', 'customers', 'orders', order_customer => 'customer_id', as_of => '2026-01-01', track_changes => 'slot', keep_history_before => '-infinity', clv_model => 'bg/nbd')};
like(fails('keeper', $create), qr/slot cannot be had here: for rows of public.orders_24 that go, the log does not tell the customer.*REPLICA IDENTITY FULL/s, 'the identity of rows has to have the customer');
sql('ALTER TABLE orders_24 REPLICA IDENTITY FULL; ALTER TABLE orders_25 REPLICA IDENTITY FULL');
my $listed = $node->safe_psql('shop', q{SELECT count(*) FROM pg_settings WHERE name = 'output_plugin_libraries'});
is(fails('keeper', $create) =~ /output_plugin_libraries does not list crm_profile/ ? 1 : 0, $listed ? 1 : 0, 'the server has to allow the library, where it has a list');
$node->safe_psql('shop', 'ALTER DATABASE shop SET output_plugin_libraries = crm_profile') if $listed;
like(fails('other', $create), qr/other may not use replication slots.*REPLICATION; or write track_changes => 'keys'/s, 'the owner has to have the right to replicate');
is(fails('keeper', "BEGIN; CREATE TABLE empty (); $create; SELECT FROM crm_profile.refresh('shop'); ROLLBACK") =~ /there is no replication slot yet/ ? 1 : 0, 1, 'no slot in a transaction that has written');
sql($create);
is(sql('SELECT slot_bytes IS NULL FROM crm_profile.sources_details'), 't', 'no slot before the first refresh');

# What a refresh read: changes, or all orders and why
sub refreshed
{
	my ($call) = @_;
	my $marker = q{SELECT coalesce(tracking ->> 'marker', 'none') FROM shop.source_definition};
	my $was = sql($marker);
	sql($call // q{SELECT FROM crm_profile.refresh('shop')});
	my $now = sql($marker);
	return ($was eq $now ? 'changes ' : 'all, ' . sql(q{SELECT tracking ->> 'read_all' FROM shop.source_definition}) . ' ') . sql('SELECT differs()');
}
my $nothing = 'there is nothing yet that changes could be added to';
is(refreshed(), "all, $nothing 0", 'the first time all orders are read');
is(sql('SELECT slot_bytes > 0, slot_since IS NOT NULL, changes_exact FROM crm_profile.sources_details'), 't|t|t', 'the slot is shown');

# Every way to change orders
my %ways = (
	'insert' => q{INSERT INTO orders (customer_id, day, amount) VALUES ('3', '2025-01-01', 10), ('new', '2025-01-01', 10)},
	'update of an amount' => q{UPDATE orders SET amount = amount + 1 WHERE customer_id = '5'},
	'move to another customer' => q{UPDATE orders SET customer_id = '1950' WHERE customer_id = '6'},
	'move to another partition' => q{UPDATE orders SET day = '2025-06-01' WHERE customer_id = '7' AND day < '2025-01-01'},
	'delete' => q{DELETE FROM orders WHERE customer_id = '8'},
	'partition written directly' => q{INSERT INTO orders_25 (customer_id, day, amount) VALUES ('9', '2025-01-01', 10); DELETE FROM orders_24 WHERE customer_id = '10'},
	'order without customer' => q{INSERT INTO orders (day, amount) VALUES ('2025-01-01', 10); UPDATE orders SET customer_id = NULL WHERE customer_id = '11'},
	'order of a customer again' => q{UPDATE orders SET customer_id = '12' WHERE customer_id IS NULL},
	'on conflict' => q{INSERT INTO orders SELECT id, '13', day, 1 FROM orders WHERE customer_id = '14' ON CONFLICT (id, day) DO UPDATE SET customer_id = excluded.customer_id},
	'savepoints' => q{BEGIN; INSERT INTO orders (customer_id, day, amount) VALUES ('15', '2025-01-01', 1); SAVEPOINT a; DELETE FROM orders WHERE customer_id = '16'; ROLLBACK TO a; DELETE FROM orders WHERE customer_id = '17'; COMMIT},
	'rollback' => q{BEGIN; DELETE FROM orders WHERE customer_id = '18'; ROLLBACK},
	'copy' => qq{COPY orders (customer_id, day, amount) FROM PROGRAM 'echo 19,2025-01-01,3' (FORMAT csv)},
	'long key' => q{SELECT setseed(0.5); INSERT INTO orders (customer_id, day, amount) SELECT string_agg(md5(random()::text), ''), '2025-01-01', 1 FROM generate_series(1, 80)},
	'no change' => q{SELECT 1});
for my $way (sort keys %ways)
{
	$way eq 'copy' ? $node->safe_psql('shop', $ways{$way}) : sql($ways{$way});
	is(refreshed(), 'changes 0', $way);
}
# a key stored out of line is not logged again for rows that keep it
sql(q{ALTER TABLE orders_25 ALTER customer_id SET STORAGE EXTERNAL; UPDATE orders SET customer_id = customer_id || 'x' WHERE length(customer_id) > 2000});
is(refreshed(), 'changes 0', 'a long key that changed');
sql(q{UPDATE orders SET amount = 77 WHERE length(customer_id) > 2000});
is(refreshed(), 'changes 0', 'a long key that did not');
sql(q{DELETE FROM orders WHERE length(customer_id) > 2000});
is(refreshed(), 'changes 0', 'an order with one that went');

# Changes leave the slot only when the refresh is committed
sql(q{UPDATE orders SET amount = 5 WHERE customer_id = '20'});
sql(q{BEGIN; SELECT FROM crm_profile.refresh('shop'); ROLLBACK});
is(refreshed(), 'changes 0', 'a refresh that was rolled back takes nothing');
sql(q{UPDATE orders SET amount = 6 WHERE customer_id = '20'});
sql(q{BEGIN; SELECT FROM crm_profile.refresh('shop'); SELECT FROM crm_profile.refresh('shop'); ROLLBACK});
is(refreshed(), 'changes 0', 'nor do two of them');
sql(q{UPDATE orders SET amount = 7 WHERE customer_id = '20'});
is(refreshed(q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM crm_profile.refresh('shop'); COMMIT}), 'changes 0', 'nor one that reads an older state');
is(refreshed(), 'changes 0', 'of which the next one reads more');
my $before = sql('SELECT confirmed_flush_lsn FROM pg_replication_slots');
sql(q{SELECT FROM crm_profile.refresh('shop')}) for 1 .. 2;
is(sql("SELECT confirmed_flush_lsn > '$before' FROM pg_replication_slots"), 't', 'the slot moves on, though no order changed');

# Prepared transactions
sql(q{BEGIN; DELETE FROM orders WHERE customer_id = '21'; PREPARE TRANSACTION 'one'});
is(refreshed(), 'changes 0', 'a prepared transaction is not seen');
sql(q{COMMIT PREPARED 'one'});
is(refreshed(), 'changes 0', 'once committed it is');
sql(q{BEGIN; DELETE FROM orders WHERE customer_id = '22'; PREPARE TRANSACTION 'two'});
$node->stop('immediate');
$node->start;
is(refreshed(), 'changes 0', 'a crash loses nothing');
sql(q{COMMIT PREPARED 'two'});
is(refreshed(), 'changes 0', 'nor what had been prepared before it');

# Changes that the log does not show are noticed
my $moved = 'all, a table of the orders was attached, detached, truncated or rewritten 0';
sql('TRUNCATE orders_24');
is(refreshed(), $moved, 'a partition was truncated');
sql(q{CREATE TABLE more (LIKE orders INCLUDING ALL); ALTER TABLE more REPLICA IDENTITY FULL; INSERT INTO more VALUES (-1, '23', '2023-05-05', 3);
	ALTER TABLE orders ATTACH PARTITION more FOR VALUES FROM ('2023-01-01') TO ('2024-01-01')});
is(refreshed(), $moved, 'one was attached');
sql(q{UPDATE more SET customer_id = '24'});
is(refreshed(), 'changes 0', 'and is followed');
sql('ALTER TABLE orders DETACH PARTITION more; DELETE FROM more');
is(refreshed(), $moved, 'one was detached');
sql(q{ALTER TABLE orders_25 REPLICA IDENTITY DEFAULT; DELETE FROM orders WHERE customer_id = '25'; ALTER TABLE orders_25 REPLICA IDENTITY FULL});
is(refreshed(), 'all, the log does not tell whose orders changed 0', 'rows went without their customer');
is(refreshed(), 'changes 0', 'and then changes are enough');
sql(q{ALTER TABLE orders_25 REPLICA IDENTITY DEFAULT; DELETE FROM orders WHERE customer_id = '26'});
like(refreshed(), qr/^all, for rows of public.orders_25 that go.* 0$/, 'as they still do');
sql('ALTER TABLE orders_25 REPLICA IDENTITY FULL');
like(refreshed(), qr/^all, changes were not tracked.* 0$/, 'once more after that was put right');
is(refreshed(), 'changes 0', 'then changes are enough');
sql('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');
sql(q{DELETE FROM orders WHERE customer_id = '27'});
is(refreshed(), 'all, the replication slot is new, or somebody else has read it 0', 'the slot was dropped');
sql(q{DELETE FROM orders WHERE customer_id = '28'; SELECT pg_replication_slot_advance(slot_name, pg_current_wal_lsn()) FROM pg_replication_slots});
is(refreshed(), 'all, the replication slot is new, or somebody else has read it 0', 'somebody else read the slot');
sql(q{UPDATE orders SET amount = amount + 1});
like(refreshed(), qr/^all, \d+ customers changed, of \d+ 0$/, 'too many changed');
sql(q{SELECT crm_profile.alter_source('shop', order_filter => 'amount <> 3.5')});
is(refreshed(), "all, $nothing 0", 'the source was altered');
sql(q{DELETE FROM orders WHERE customer_id = '29'});
is(refreshed(), 'changes 0', 'then changes are enough again');
$node->append_conf('postgresql.conf', "max_slot_wal_keep_size = 1MB\nmax_wal_size = 32MB\nmin_wal_size = 32MB\n");
$node->reload;
sql(q{CREATE TABLE filler AS SELECT md5(i::text) FROM generate_series(1, 10) i; DELETE FROM orders WHERE customer_id = '30'});
$node->safe_psql('shop', 'SELECT pg_switch_wal(); INSERT INTO filler SELECT 1; CHECKPOINT') for 1 .. 5;
is(sql('SELECT wal_status FROM pg_replication_slots'), 'lost', 'the server gave the slot up');
is(refreshed(), 'all, the replication slot is new, or somebody else has read it 0', 'so all orders are read, and there is a slot again');
$node->append_conf('postgresql.conf', 'max_slot_wal_keep_size = -1');
$node->reload;

# Writers concurrent with refreshes, and the server killed
sql(q{SELECT crm_profile.alter_source('shop', reset => '{order_filter}'); SELECT FROM crm_profile.refresh('shop')});
start($node, 'shop', 'SET ROLE keeper', write_forever("0.$_", 700 * ($rounds < 10 ? $rounds : 10))) for 1 .. 3;
my ($refreshes, $changes) = (0, 0);
while (running())
{
	my $marker = q{SELECT tracking ->> 'marker' FROM shop.source_definition};
	my $was = sql($marker);
	sql(q{SELECT FROM crm_profile.refresh('shop')});
	$changes++ if $was eq sql($marker);
	$refreshes++;
}
settled();
is(refreshed(), 'changes 0', "nothing lost under three writers and $refreshes refreshes");
is($changes, $refreshes, 'each of which read what had changed alone');
for my $round (1 .. $rounds)
{
	start($node, 'shop', 'SET ROLE keeper', write_forever("0.$round$_", 100000)) for 1 .. 2;
	start($node, 'shop', (q{SELECT FROM crm_profile.refresh('shop')}) x 1000);
	kill_server($node) or next;
	is(refreshed(), 'changes 0', "nothing lost in crash $round, and only changes read");
}

# Customers who are one person: an order of one of their keys, and another decision, change the histories of both
my $merged = q{SELECT count(*) FROM crm_profile.collect_purchase_histories(NULL::text, 'SELECT coalesce(i.person, o.customer_id), o.day, o.amount FROM orders o LEFT JOIN shop.customer_identity i ON i.customer = o.customer_id') n
	FULL JOIN shop.customer_history h USING (customer) WHERE (n.history OPERATOR(crm_profile.=) h.history) IS NOT TRUE};
sql(q{SELECT crm_profile.alter_source('shop', corrections => '{"merge_customers": true}'); INSERT INTO shop.identity_override VALUES ('32', '31'), ('33', '31')});
like(refreshed(), qr/^all, /, 'customers are merged');
is(sql($merged), '0', 'as decided');
sql(q{UPDATE orders SET amount = 8 WHERE customer_id = '32'; UPDATE orders SET customer_id = '33' WHERE customer_id = '34'});
like(refreshed(), qr/^changes /, 'orders of a second key are found in the log');
is(sql($merged), '0', 'and count for the person');
sql(q{UPDATE shop.identity_override SET person = '35' WHERE customer = '33'; DELETE FROM shop.identity_override WHERE customer = '32'});
like(refreshed(), qr/^changes /, 'decisions without a change of orders');
is(sql($merged), '0', 'move orders from one to the other');
sql(q{SELECT crm_profile.alter_source('shop', reset => '{corrections}'); SELECT FROM crm_profile.refresh('shop')});

# The slot is dropped with the source, and with its tracking
sql(q{SELECT crm_profile.alter_source('shop', track_changes => 'keys')});
is(sql('SELECT count(*) FROM pg_replication_slots'), '0', 'another way of tracking drops the slot');
sql(q{SELECT crm_profile.alter_source('shop', track_changes => 'slot')});
like(refreshed(), qr/^all, .* 0$/, 'the slot is made again');
$node->safe_psql('shop', 'ALTER ROLE keeper NOREPLICATION');
like(fails('keeper', q{SELECT crm_profile.drop_source('shop')}), qr/replication slot "crm_profile_\d+_\d+" of source "shop" is left/, 'an owner who may not drop it is told');
$node->safe_psql('shop', 'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots; ALTER ROLE keeper REPLICATION');
sql($create);
sql(q{SELECT FROM crm_profile.refresh('shop')});
sql(q{SELECT crm_profile.drop_source('shop')});
is(sql('SELECT count(*) FROM pg_replication_slots'), '0', 'dropping the source drops the slot');
$node->append_conf('postgresql.conf', 'wal_level = replica');
$node->restart;
like(fails('keeper', $create), qr/slot cannot be had here: wal_level is replica.*or write track_changes => 'keys'/s, 'a server without the log for it says which way works');
$node->stop;
done_testing();
