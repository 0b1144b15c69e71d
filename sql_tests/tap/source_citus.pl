# A source whose orders Citus distributes: refresh computes the histories where the rows are, and they are the same.
# Citus itself is not needed: a stand-in has its catalogue, as in Citus 13, and the rows stay where they are.
use strict;
use warnings;
use CrmProfile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('coordinator');
$node->init;
my $extensions = private_extensions($node) or plan skip_all => 'the extension is installed for good';
append_to_file("$extensions/citus.control", "default_version = '13.2-1'\nrelocatable = false\nschema = pg_catalog\n");
append_to_file("$extensions/citus--13.2-1.sql", q{
CREATE SCHEMA citus;
CREATE TABLE citus.pg_dist_partition (logicalrelid regclass NOT NULL, partmethod "char" NOT NULL, partkey text,
	colocationid integer DEFAULT 0 NOT NULL, repmodel "char" DEFAULT 'c' NOT NULL, autoconverted boolean DEFAULT false);
ALTER TABLE citus.pg_dist_partition SET SCHEMA pg_catalog;
GRANT SELECT ON pg_catalog.pg_dist_partition TO public;
-- partkey is the node tree of a Var
CREATE FUNCTION pg_catalog.column_to_column_name(table_name regclass, column_var_text text) RETURNS text LANGUAGE sql STABLE STRICT
	RETURN (SELECT attname FROM pg_attribute WHERE attrelid = table_name AND attnum = substring(column_var_text FROM ':varattno (\d+)')::int);
});
$node->start;

$node->safe_psql('postgres', 'CREATE ROLE keeper; CREATE DATABASE shop');
$node->safe_psql('shop', q{
	CREATE EXTENSION crm_profile;
	GRANT CREATE ON DATABASE shop TO keeper;
	CREATE TABLE customers (id int PRIMARY KEY);
	CREATE TABLE lines (customer_id int, doc int, sold_at timestamptz, price float8, cost numeric);
	CREATE VIEW sold AS SELECT customer_id, doc, sold_at, price FROM lines WHERE price > 0;
	INSERT INTO customers SELECT generate_series(1, 100);
	INSERT INTO lines SELECT 1 + i % 97, NULLIF(i / 3, 17), timestamptz '2025-01-01 UTC' + i * interval '25 minutes', (i * 7919 % 10007 - 1500) / 37.0, CASE WHEN i % 3 = 0 THEN i % 50 END
		FROM generate_series(1, 6000) i;
	GRANT SELECT ON customers, lines, sold TO keeper;
	SET ROLE keeper;
	SELECT crm_profile.create_source('orders', 'customers', 'lines', order_customer => 'customer_id', ordered_at => 'sold_at', amount => 'price', cost => 'cost',
		order_filter => 'price < 200', time_zone => 'Asia/Kathmandu', as_of => '2025-12-31');
	SELECT crm_profile.create_source('lines', 'customers', 'lines', order_customer => 'customer_id', ordered_at => 'sold_at', amount => 'price', cost => 'cost', order_key => 'doc',
		time_zone => 'Asia/Kathmandu', as_of => '2025-12-31');
	SELECT crm_profile.create_source('sold', 'customers', 'sold', order_customer => 'customer_id', ordered_at => 'sold_at', amount => 'price', as_of => '2025-12-31', time_zone => 'UTC')});
my @sources = qw(orders lines sold);

# distribute(COLUMN, METHOD): writes to the catalogue what create_distributed_table() writes
sub distribute
{
	my ($column, $method) = @_;
	$node->safe_psql('shop', qq{DELETE FROM pg_dist_partition;
		INSERT INTO pg_dist_partition (logicalrelid, partmethod, partkey)
			SELECT attrelid, '$method', CASE WHEN '$method' <> 'n' THEN format('{VAR :varno 1 :varattno %s :vartype %s}', attnum, atttypid) END
			FROM pg_attribute WHERE attrelid = 'lines'::regclass AND attname = '$column'});
	return;
}

# histories(): the stored histories of all sources as text
sub histories
{
	return join "\n", map { $node->safe_psql('shop', "SELECT '$_', customer, history FROM $_.customer_history ORDER BY customer") } @sources;
}

# road(SOURCE): what explain_source says before the query, and whether the query aggregates
sub road
{
	my ($source) = @_;
	my $explained = $node->safe_psql('shop', "SELECT crm_profile.explain_source('$source')");
	my ($distributed) = $explained =~ /^-- (Citus .*)$/m;
	return ($distributed // 'here') . ($explained =~ /purchase_history_agg.*-- customer_profile/s ? ', aggregated' : ', collected');
}

# refresh(SOURCE): whether rows were read one by one here, and the result
sub refresh
{
	my ($source) = @_;
	my ($status, $out, $err) = $node->psql('shop', "SELECT orders, customers, customers_written, customers_removed FROM crm_profile.refresh('$source', verbose => true)");
	return ($err =~ /rows read/ ? 'collected' : 'aggregated') . " $out";
}

is(road('orders'), 'here, collected', 'without Citus rows are collected');
my %collected = map { $_ => refresh($_) } @sources;
like($collected{$_}, qr/^collected [1-9]\d+\|97\|97\|0$/, "first refresh of $_") for @sources;
my $histories = histories();

$node->safe_psql('shop', 'CREATE EXTENSION citus');
is(road('orders'), 'here, collected', 'with Citus, but a table that it does not distribute, too');
distribute('customer_id', 'n');
is(road('orders'), 'here, collected', 'a reference table is here');

distribute('customer_id', 'h');
for my $source (@sources)
{
	is(road($source), 'Citus distributes public.lines by customer_id: the workers make the histories, nothing else leaves them, aggregated', "$source goes to the workers");
	(my $expected = $collected{$source}) =~ s/^collected (.*)\|97\|0$/aggregated $1|0|0/;
	is(refresh($source), $expected, 'and finds nothing that differs');
}
is(histories(), $histories, 'the same histories');

distribute('doc', 'h');
is(road('lines'), 'Citus distributes public.lines by doc: the workers make parts of the histories, which are merged here, nothing else leaves them, aggregated', 'distributed by another column');
$node->safe_psql('shop', q{INSERT INTO lines VALUES (99, 1, '2025-01-01', 10, 1); DELETE FROM lines WHERE customer_id = 2});
like(refresh('lines'), qr/^aggregated \d+\|97\|1\|1$/, 'it finds what differs');

# A first refresh in that way
$node->safe_psql('shop', q{SELECT crm_profile.refresh('sold'); SELECT crm_profile.refresh('orders')});
my $later = histories();
isnt($later, $histories, 'something happened');
$node->safe_psql('shop', qq{DO \$\$ BEGIN EXECUTE 'DROP INDEX $_.customer_history_key'; EXECUTE 'TRUNCATE $_.customer_history'; END \$\$}) for @sources;
like(refresh($_), qr/^aggregated \d+\|97\|97\|0$/, "first refresh of $_") for @sources;
is(histories(), $later, 'the same histories');

done_testing();
