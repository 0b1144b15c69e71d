# Somebody is forgotten: after forget_customer() and VACUUM FULL no file of the database has a byte of the person, and the server's log never had
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $key = 'zzMarker-7f3a-key';
my $word = 'zzMarker-91c2-word';
my $node = PostgreSQL::Test::Cluster->new('forget');
$node->init;
# what the statement of a user is logged with is not the extension's
$node->append_conf('postgresql.conf', "autovacuum = off\nlog_statement = none\nlog_min_messages = info\n");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('shop', qq{
	CREATE EXTENSION crm_profile;
	CREATE TABLE customers (id text PRIMARY KEY, town text);
	CREATE TABLE orders (customer_id text, ordered_at date, amount numeric);
	INSERT INTO customers SELECT 'c' || i, 'town ' || i % 7 FROM generate_series(1, 500) i UNION ALL SELECT '$key', '$word';
	INSERT INTO orders SELECT 'c' || i % 490 + 1, date '2025-01-01' + i % 300, i % 97 FROM generate_series(1, 5000) i UNION ALL SELECT '$key', date '2025-03-01' + i, 77 FROM generate_series(1, 9) i;
	SELECT crm_profile.create_source('shop', 'customers', 'orders', order_customer => 'customer_id', as_of => '2025-12-31', attributes => '{town}', materialize => true);
	SELECT crm_profile.refresh('shop');
	INSERT INTO orders VALUES ('$key', '2025-10-01', 5);
	SELECT crm_profile.refresh('shop');
	INSERT INTO orders VALUES ('c3', '2025-10-02', 5);
	SELECT crm_profile.refresh('shop')});

my $directory = $node->data_dir . '/base/' . $node->safe_psql('shop', 'SELECT oid FROM pg_database WHERE datname = current_database()');

# The files of the database with the text in them
sub files_with
{
	my ($text) = @_;
	$node->safe_psql('shop', 'CHECKPOINT');
	return grep { -f && index(slurp_file($_), $text) >= 0 } glob "$directory/*";
}

cmp_ok(scalar files_with($key), '>=', 5, 'the key is in tables, indexes and statistics');
is($node->safe_psql('shop', 'SELECT count(*) FROM shop.model'), '3', 'models of three refreshes');

# with orders that are still there it warns, and names nobody
my ($status, $out, $err) = $node->psql('shop', qq{SELECT * FROM crm_profile.forget_customer('shop', '$key')});
is($out, '1|10', 'the history is gone, ten orders are left');
like($err, qr/the customer still has 10 orders/, 'it says so');
unlike($err, qr/zzMarker/, 'without the key');
# the person goes from the tables of the user, too
$node->safe_psql('shop', qq{
	DELETE FROM orders WHERE customer_id = '$key';
	DELETE FROM customers WHERE id = '$key'});
is($node->safe_psql('shop', qq{SELECT * FROM crm_profile.forget_customer('shop', '$key')}), '0|0', 'and nothing is left');
is($node->safe_psql('shop', 'SELECT count(*) FROM shop.model'), '1', 'old models are gone');
$node->safe_psql('shop', 'ANALYZE customers, orders');
$node->safe_psql('shop', "VACUUM FULL $_") for qw(shop.customer_history shop.stored_profile shop.model customers orders pg_statistic);
is(join(' ', files_with($key)), '', 'no file has the key');
is(join(' ', files_with($word)), '', 'no file has a word that nobody else had');
my $log = slurp_file($node->logfile);
unlike($log, qr/zzMarker/, 'the log never had');
like($log, qr/the customer still has/, 'the warning is in the log');
is($node->safe_psql('shop', q{SELECT customers_written, customers_removed FROM crm_profile.refresh('shop')}), '0|0', 'the next refresh finds nothing new');
$node->stop;
done_testing();
