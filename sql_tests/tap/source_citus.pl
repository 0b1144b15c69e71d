# A source whose tables Citus distributes. Citus itself is not needed: a stand-in has its catalogue, as in Citus 13, and the rows stay where they are.
# What Citus refuses or plans badly are statements that read a distributed table together with anything else. So none may do so: the plans of all
# statements are logged, and looked through. citus_cluster does the same on a real cluster, where there is one.
use strict;
use warnings;
use CrmProfile;
use Elsewhere;
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
$node->append_conf('postgresql.conf', "session_preload_libraries = auto_explain\nauto_explain.log_nested_statements = on\n");
$node->append_conf("postgresql.conf", "crm_profile.enable_history_aggregate = off\n");
$node->start;

# distribute(DATABASE, TABLE, COLUMN): writes to the catalogue what create_distributed_table() writes; without COLUMN what create_reference_table() does
sub distribute
{
	my ($database, $table, $column) = @_;
	$node->safe_psql($database, qq{DELETE FROM pg_dist_partition WHERE logicalrelid = '$table'::regclass;
		INSERT INTO pg_dist_partition (logicalrelid, partmethod, partkey)
			} . (defined $column ? qq{SELECT attrelid, 'h', format('{VAR :varno 1 :varattno %s :vartype %s}', attnum, atttypid) FROM pg_attribute WHERE attrelid = '$table'::regclass AND attname = '$column'}
				: qq{VALUES ('$table'::regclass, 'n', NULL)}));
	return;
}

# with_citus(DATABASE): the stand-in; Citus pushes down what is grouped by the distribution column of all orders
sub with_citus
{
	my ($database) = @_;
	$node->safe_psql($database, q{CREATE EXTENSION citus;
		CREATE OR REPLACE FUNCTION crm_profile_internal.is_pushed(query text) RETURNS boolean LANGUAGE sql
			RETURN (SELECT bool_and(column_to_column_name(logicalrelid, partkey) = 'customer_id') FROM pg_dist_partition WHERE logicalrelid IN ('lines'::regclass)) });
	return;
}

$node->safe_psql('postgres', 'CREATE ROLE keeper; CREATE DATABASE roads; CREATE DATABASE shop; CREATE ROLE clerk LOGIN');
$node->safe_psql('roads', q{
	CREATE EXTENSION crm_profile;
	GRANT CREATE ON DATABASE roads TO keeper;
	CREATE TABLE customers (id int PRIMARY KEY);
	CREATE TABLE lines (customer_id bigint, doc int, sold_at timestamptz, price float8, cost numeric);
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

# ---------- the road of a refresh

# histories(): the stored histories of all sources as text
sub histories
{
	return join "\n", map { $node->safe_psql('roads', "SELECT '$_', customer, history FROM $_.customer_history ORDER BY customer") } @sources;
}

# road(SOURCE): what explain_source says before the query, and whether the query aggregates
sub road
{
	my ($source) = @_;
	my $explained = $node->safe_psql('roads', "SELECT crm_profile.explain_source('$source')");
	$explained =~ s/\n--   / /g;
	my ($distributed) = $explained =~ /^-- Citus distributes (.*?)(?=\n(?!\s)|\n\n)/ms;
	return ($distributed // 'here') . ($explained =~ /purchase_history_agg.*-- customer_profile/s ? ', aggregated' : ', collected');
}

# refresh(SOURCE): whether rows were read one by one here, and the result
sub refresh
{
	my ($source) = @_;
	my ($status, $out, $err) = $node->psql('roads', "SELECT orders, customers, customers_written, customers_removed FROM crm_profile.refresh('$source', verbose => true)");
	return $status ? $err : ($err =~ /rows read/ ? 'collected' : 'aggregated') . " $out";
}

# fails(DATABASE, SQL, PATTERN, NAME): it is an error that says so
sub fails
{
	my ($database, $sql, $pattern, $name) = @_;
	my ($status, $out, $err) = $node->psql($database, $sql);
	like($err, $pattern, $name);
	return;
}

is(road('orders'), 'here, collected', 'without Citus rows are collected');
my %collected = map { $_ => refresh($_) } @sources;
like($collected{$_}, qr/^collected [1-9]\d+\|97\|97\|0$/, "first refresh of $_") for @sources;
my $histories = histories();

with_citus('roads');
is(road('orders'), 'here, collected', 'with Citus, but a table that it does not distribute, too');
distribute('roads', 'lines', 'customer_id');
like(refresh($_), qr/Citus distributes relation public\.(lines|sold) since the source was defined.*alter_source\('$_'\)/si, "$_ has to be told") for @sources;
fails('roads', "SET ROLE keeper; SELECT crm_profile.alter_source('orders')", qr/public\.lines is on other machines, and keeper may not log in.*ALTER ROLE keeper LOGIN/s, 'the owner has to log in elsewhere');
$node->safe_psql('roads', 'ALTER ROLE keeper LOGIN');
for my $source (@sources)
{
	$node->safe_psql('roads', "SET ROLE keeper; SELECT crm_profile.alter_source('$source')");
	is(road($source), 'public.lines by customer_id: the workers make the histories, nothing else leaves them, aggregated', "$source goes to the workers");
	(my $expected = $collected{$source}) =~ s/^collected (.*)\|97\|0$/aggregated $1|0|0/;
	is(refresh($source), $expected, 'and finds nothing that differs');
}
is(histories(), $histories, 'the same histories, though the customers\' keys are integer, and those of the orders bigint');

distribute('roads', 'lines', 'doc');
is(road('lines'), 'public.lines by doc: the orders come here, since EXPLAIN shows that the workers cannot make whole histories, collected', 'distributed by another column');
$node->safe_psql('roads', q{INSERT INTO lines VALUES (99, 1, '2025-01-01', 10, 1); DELETE FROM lines WHERE customer_id = 2});
like(refresh('lines'), qr/^collected \d+\|97\|1\|1$/, 'it finds what differs');

# A first refresh in the other way
distribute('roads', 'lines', 'customer_id');
$node->safe_psql('roads', q{SELECT crm_profile.refresh('sold'); SELECT crm_profile.refresh('orders')});
my $later = histories();
isnt($later, $histories, 'something happened');
$node->safe_psql('roads', qq{DO \$\$ BEGIN EXECUTE 'DROP INDEX $_.customer_history_key'; EXECUTE 'TRUNCATE $_.customer_history'; END \$\$}) for @sources;
like(refresh($_), qr/^aggregated \d+\|97\|97\|0$/, "first refresh of $_") for @sources;
is(histories(), $later, 'the same histories');

# ---------- expressions that have other values elsewhere

fails('roads', "SET ROLE keeper; SELECT crm_profile.alter_source('orders', $_->[0] => '$_->[1]')", qr/argument "$_->[0]" of the source: over a table that Citus distributes it must not depend on.*HINT:.*$_->[2]/s, "$_->[0] => $_->[1]")
	for [ 'ordered_at', 'sold_at::date', q{\(ordered_at => 'sold_at'\), or write \(sold_at AT TIME ZONE 'Asia/Kathmandu'\)::date} ], [ 'amount', 'extract(day FROM now())::numeric', 'immutable' ],
	[ 'order_filter', q{sold_at::text LIKE ''2%''}, 'immutable' ], [ 'order_customer', 'length(current_user)', 'immutable' ];
$node->safe_psql('roads', q{CREATE VIEW days AS SELECT customer_id, sold_at::date AS day, price FROM lines; GRANT SELECT ON days TO keeper});
fails('roads', q{SET ROLE keeper; SELECT crm_profile.alter_source('sold', orders => 'days', ordered_at => 'day')}, qr/argument "orders" of the source: over a table that Citus distributes/, 'nor in a view');
$node->safe_psql('roads', q{SET ROLE keeper; SELECT crm_profile.alter_source('orders', ordered_at => '(sold_at AT TIME ZONE ''Asia/Kathmandu'')::date')});
like(refresh('orders'), qr/\|0\|0$/, 'what the hint says gives the same days');
for my $session ("application_name = 'citus_internal gpid=10000000001'", "search_path = pg_catalog; SET timezone = 'GMT'; SET extra_float_digits = 3", "application_name = 'postgres_fdw'")
{
	fails('roads', "SET $session; SELECT crm_profile.purchase_history_agg(sold_at, price::numeric) FROM public.lines", qr/time zone of another server.*AT TIME ZONE/s, "no days of another session's zone: $session");
}
fails('roads', q{SET application_name = 'citus_internal gpid=10000000001'; SELECT crm_profile.compile_scheme('mine')}, qr/Citus runs this on a worker.*MATERIALIZED/s, 'a scheme that a worker does not know');

# ---------- everything that a source reads elsewhere

create_shop($node, 'shop');
$node->safe_psql('shop', 'CREATE EXTENSION crm_profile');
my @layouts = (['all distributed', 1], ['customers and leads as reference tables', 0]);
$node->safe_psql('shop', source_of_shop() . q{; SELECT crm_profile.refresh('shop'); SELECT count(*) FROM crm_profile.check_source('shop'); GRANT USAGE ON SCHEMA shop TO clerk; GRANT SELECT ON ALL TABLES IN SCHEMA shop, public TO clerk;
	ALTER TABLE customers ENABLE ROW LEVEL SECURITY; CREATE POLICY germans ON customers TO clerk USING (country = 'DE')});
my $here = answers_of_shop($node, 'shop', every => 1);
my $here_read = answers_of_shop($node, 'shop', before => 'SET ROLE clerk;');
my @failed = grep { $here->{$_} !~ /^(\(|$)/ && !/^(report|description)$/ } sort keys %$here;
is("@failed", '', 'all of it works where the tables are here');
my %columns = shop_tables();
$node->safe_psql('shop', 'CREATE TABLE lines (customer_id int)');
with_citus('shop');
for my $layout (@layouts)
{
	my ($name, $distributed) = @$layout;
	distribute('shop', $_, $distributed || !/^(customers|leads)$/ ? $columns{$_} : undef) for keys %columns;
	$node->safe_psql('shop', q{SELECT crm_profile.alter_source('shop')});
	like($node->safe_psql('shop', q{SELECT crm_profile.explain_source('shop')}), qr/^-- public\.customers is on other machines: the histories are stored here/m, "$name: where the histories are");
	is($node->safe_psql('shop', q{SELECT DISTINCT pg_get_expr(polqual, polrelid) ~ 'EXISTS' FROM pg_policy WHERE polname = 'customer_visible'}), 'f', "$name: policies have no alternatives");
	like($node->safe_psql('shop', q{SET work_mem = '64kB'; SET hash_mem_multiplier = 1; SET ROLE clerk; EXPLAIN SELECT count(*) FROM shop.customer_history}), qr/hashed SubPlan/, "$name: and find keys in a hash table, however little memory there is");
	# from here on the plans of all statements are logged
	my $from = -s $node->logfile;
	$node->safe_psql('postgres', 'ALTER DATABASE shop SET auto_explain.log_min_duration = 0');
	my ($status, $out, $err) = $node->psql('shop', q{SELECT customers_written, customers_removed FROM crm_profile.refresh('shop')});
	is($out, '0|0', "$name: a refresh finds nothing that differs");
	for my $reader ([ 'the owner', $here, '' ], $distributed ? [ 'a reader under a policy', $here_read, 'SET ROLE clerk;' ] : ())
	{
		my $there = answers_of_shop($node, 'shop', before => $reader->[2], every => $distributed && $reader->[1] == $here);
		is($there->{$_}, $reader->[1]->{$_}, "$name, $reader->[0]: $_") for sort keys %$there;
	}
	$node->safe_psql('shop', q{SELECT count(*) FROM crm_profile.check_source('shop')});
	$node->safe_psql('shop', q{SELECT crm_profile.profile_now('shop', 42)});
	$node->safe_psql('postgres', 'ALTER DATABASE shop RESET auto_explain.log_min_duration');
	my @refused = refused_statements(slurp_file($node->logfile, $from));
	is("@refused", '', "$name: statements read a distributed table alone, once, without parameters or subqueries, and make no aggregates of its rows but histories");
}

# refused_statements(LOG): those that Citus would refuse or plan badly: statements whose plans scan a distributed table and anything else, or the table again, have
# subqueries or parameters, or aggregate its rows to anything but histories
sub refused_statements
{
	my ($log) = @_;
	my %refused;
	while ($log =~ /plan:\n\tQuery Text: (.*?)\n(?=\S)/gs)
	{
		my $plan = $1;
		# those that a reader wrote
		next if $plan =~ /^SELECT v::text FROM \(SELECT/;
		my @read = $plan =~ /(?:Seq|Sample|Index|Index Only|Bitmap Heap|CTE|Function) Scan (?:Backward )?(?:using \S+ )?on (\S+)/g;
		next if !grep { exists $columns{$_} } @read;
		my ($nodes) = $plan =~ /^(\t[^\n]*\(cost=.*)/ms;
		$refused{ join(' ', @read) . ': ' . substr($plan, 0, 1000) . "\n" } = 1
			if @read > 1 || $nodes =~ /SubPlan|InitPlan|\$\d/ || ($nodes =~ /Aggregate/ && $plan !~ /purchase_history_agg/);
	}
	return sort keys %refused;
}

# ---------- back again

$node->safe_psql('shop', 'DELETE FROM pg_dist_partition');
fails('shop', q{SELECT crm_profile.refresh('shop')}, qr/Citus no longer distributes relation/, 'tables that have come back');
$node->safe_psql('shop', q{SELECT crm_profile.alter_source('shop'); SELECT crm_profile.refresh('shop')});
is($node->safe_psql('shop', q{SELECT count(*) FROM pg_class WHERE relnamespace = 'shop'::regnamespace AND relname IN ('customers', 'orders', 'contacts', 'payments', 'leads', 'visits', 'order_lines')}), 0, 'their views are gone');
is(answers_of_shop($node, 'shop')->{'customer_profile'}, $here->{'customer_profile'}, 'and all is as before');
is($node->safe_psql('shop', q{SELECT DISTINCT pg_get_expr(polqual, polrelid) ~ 'EXISTS' FROM pg_policy WHERE polname = 'customer_visible'}), 't', 'policies, too');
$node->safe_psql('shop', q{SELECT crm_profile.drop_source('shop')});
is($node->safe_psql('shop', q{SELECT to_regnamespace('shop')}), '', 'nothing is left of the source');

done_testing();
