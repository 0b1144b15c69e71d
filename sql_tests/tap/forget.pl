# Forgetting: after forget_customer() and VACUUM no file of the source or of the catalogues has a byte of the person, and the server's log
# never had one
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $key = 'zzMarker-7f3a-key';
my $other = 'zzMarker-7f3a-second';
my $word = 'zzMarker-91c2-word';
my $node = PostgreSQL::Test::Cluster->new('forget');
$node->init;
# the log of users' statements is not the extension's business
$node->append_conf('postgresql.conf', "autovacuum = off\nlog_statement = none\nlog_min_messages = info\n");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE shop');
# two sources: one with changes tracked and profiles stored, one that merges customers
$node->safe_psql('shop', qq{
	CREATE EXTENSION crm_profile;
	CREATE TABLE customers (id text PRIMARY KEY, town text, email text);
	CREATE TABLE orders (customer_id text, ordered_at date, amount numeric);
	INSERT INTO customers SELECT 'c' || i, 'town ' || i % 7, 'c' || i || '\@example.org' FROM generate_series(1, 500) i UNION ALL SELECT '$key', '$word', 'same\@example.org' UNION ALL SELECT '$other', '$word', 'same\@example.org';
	INSERT INTO orders SELECT 'c' || i % 490 + 1, date '2025-01-01' + i % 300, i % 97 FROM generate_series(1, 5000) i UNION ALL SELECT '$key', date '2025-03-01' + i, 77 FROM generate_series(1, 9) i
		UNION ALL VALUES ('$other', date '2025-04-01', 70000);
	SELECT crm_profile.create_source('shop', 'customers', 'orders', order_customer => 'customer_id', as_of => '2025-12-31', attributes => '{town}', materialize => true, track_changes => 'keys', refit_share => 0);
	SELECT crm_profile.create_source('merged', 'customers', 'orders', order_customer => 'customer_id', as_of => '2025-12-31', corrections => '{"merge_customers": true, "leave_out_above": 50000}');
	SELECT crm_profile.refresh('shop');
	SELECT crm_profile.refresh('merged');
	INSERT INTO orders VALUES ('$key', '2025-10-01', 5);
	SELECT crm_profile.refresh('shop');
	INSERT INTO orders VALUES ('c3', '2025-10-02', 5);
	SELECT crm_profile.refresh('shop');
	SELECT crm_profile.check_source_details('merged');
	-- changes that wait for the next refresh, and statistics of all tables of the sources
	INSERT INTO orders VALUES ('$key', '2025-10-03', 5);
	DO \$\$ BEGIN EXECUTE (SELECT 'ANALYZE ' || string_agg(oid::regclass::text, ', ') FROM pg_class WHERE relkind = 'r' AND relnamespace::regnamespace::text IN ('shop', 'merged')); END \$\$;
	DELETE FROM orders WHERE customer_id = '$key' AND ordered_at = '2025-10-03';
	-- as a refresh leaves it where attributes tell how people buy
	INSERT INTO merged.customer_effect SELECT customer, 0.1, 0.2 FROM merged.customer_history});

my $directory = $node->data_dir . '/base/' . $node->safe_psql('shop', 'SELECT oid FROM pg_database WHERE datname = current_database()');

# The tables, with the files of their indexes and TOAST tables, that contain the text
sub tables_with
{
	my ($text) = @_;
	$node->safe_psql('shop', 'CHECKPOINT');
	my %file = map { split /\|/ } split /\n/, $node->safe_psql('shop', 'SELECT pg_relation_filenode(oid), oid::regclass FROM pg_class WHERE pg_relation_filenode(oid) IS NOT NULL');
	return join ' ', sort map { my ($number) = m{/(\d+)[^/]*$}; $file{ $number // '' } // "file $_" } grep { -f && index(slurp_file($_), $text) >= 0 } glob "$directory/*";
}

my $history = pack 'H*', $node->safe_psql('shop', qq{SELECT encode(crm_profile_internal.purchase_history_send(history), 'hex') FROM shop.customer_history WHERE customer = '$key'});
like(tables_with($history), qr/^shop.customer_history/, 'the history is where it should be');
is($node->safe_psql('shop', q{SELECT string_agg(DISTINCT attname, ' ') FROM pg_stats WHERE schemaname IN ('shop', 'merged') AND coalesce(most_common_vals::text, histogram_bounds::text, most_common_elems::text) ~ 'zzMarker|[0-9]: '}), '', 'neither keys nor histories are in statistics');
like(tables_with($key), qr/customers customers_pkey merged.customer_effect merged.customer_effect_pkey merged.customer_history.*merged.identity_found.*orders.*shop.customer_history shop.customer_history_key shop.stored_profile/, 'the key is in tables and indexes');
is($node->safe_psql('shop', 'SELECT count(*) FROM shop.model'), '3', 'models of three refreshes');

# it warns if there still are orders, and names nobody
my ($status, $out, $err) = $node->psql('shop', qq{SELECT * FROM crm_profile.forget_customer('shop', '$key')});
is($out, '1|10', 'the history is gone, ten orders are left');
like($err, qr/the customer still has 10 orders/, 'it says so');
unlike($err, qr/zzMarker/, 'without the key');
# the person is deleted from the user's tables as well
$node->safe_psql('shop', qq{
	DELETE FROM orders WHERE customer_id IN ('$key', '$other');
	DELETE FROM customers WHERE id IN ('$key', '$other')});
is($node->safe_psql('shop', qq{SELECT * FROM crm_profile.forget_customers('shop', '{$key,$other}'::text[])}), '1|0', 'the other key, too');
is($node->safe_psql('shop', qq{SELECT * FROM crm_profile.forget_customers('merged', '{$key,$other}'::text[], rewrite => false)}), '1|0', 'in the other source, without writing anew');
is($node->safe_psql('shop', 'SELECT count(*) FROM shop.model'), '1', 'old models are gone');
$node->safe_psql('shop', 'VACUUM ANALYZE');
my $left = tables_with('zzMarker') =~ s/\b(customers|orders|customers_pkey)\b ?//gr;
like($left, qr/^merged\.customer_effect merged\.customer_effect_pkey merged\.customer_history /, 'VACUUM: what was not written anew has them');
unlike($left, qr/shop\.|pg_/, 'the tables that were do not, nor do the catalogues');
is($node->safe_psql('shop', qq{SELECT * FROM crm_profile.forget_customer('merged', '$key')}), '0|0', 'written anew later');
is(tables_with('zzMarker') =~ s/\b(customers|orders|customers_pkey)\b ?//gr, '', 'no file of a source has them');
is(tables_with($history), '', 'nor the history');
my $log = slurp_file($node->logfile);
unlike($log, qr/zzMarker/, 'the log never had');
like($log, qr/the customer still has/, 'the warning is in the log');
is($node->safe_psql('shop', q{SELECT orders, customers, customers_written, customers_removed FROM crm_profile.refresh('shop')}), '5001|490|0|0', 'the next refresh counts anew, and writes nothing');
is($node->safe_psql('shop', q{SELECT customers_written, customers_removed FROM crm_profile.refresh('merged')}), '1|0', 'nor does that of the other source, but for an order that came since');

# it waits for a reader without a lock, so that others go on; an open cursor of the same session is an error
my $reader = $node->background_psql('shop', on_error_stop => 1);
$reader->query_safe('BEGIN; SELECT count(*) FROM shop.stored_profile');
my $forget = $node->background_psql('shop', on_error_stop => 1);
$forget->query_until(qr/began/, "\\echo began\nSELECT * FROM crm_profile.forget_customer('shop', 'c5');\n\\echo done\n");
$node->poll_query_until('shop', q{SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'shop.stored_profile'::regclass)});
is($node->safe_psql('shop', q{SET lock_timeout = '5s'; SELECT count(*) FROM shop.customer_history}), '490', 'the other tables can be read meanwhile');
is($reader->query_safe('SELECT count(*) FROM shop.customer_history'), '490', 'by the reader, too');
$reader->query_safe('COMMIT');
$reader->quit;
$forget->quit;
is($node->safe_psql('shop', 'SELECT count(*) FROM shop.customer_history'), '489', 'and then it is done');
$node->stop;
done_testing();
