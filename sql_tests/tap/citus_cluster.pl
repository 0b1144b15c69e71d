# A source on a real Citus cluster: one coordinator and two workers, whose time zones differ. All that its views and functions answer is what they answer
# where the tables are on one server. Skipped where Citus is not installed beside PostgreSQL.
use strict;
use warnings;
use CrmProfile;
use Elsewhere;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @nodes = map { PostgreSQL::Test::Cluster->new($_) } qw(coordinator first second);
plan skip_all => 'Citus is not installed here' if !-e $nodes[0]->config_data('--pkglibdir') . '/citus.so';
for my $node (@nodes)
{
	$node->init;
	$node->append_conf('postgresql.conf', "shared_preload_libraries = citus\nmax_connections = 100\nmax_prepared_transactions = 50\nwal_level = logical\ncitus.shard_count = 4\ntimezone = '" . ($node->name eq 'first' ? 'America/New_York' : 'UTC') . "'\n");
	$node->start;
	$node->safe_psql('postgres', 'SET citus.enable_create_database_propagation = off');
	$node->safe_psql('postgres', 'CREATE DATABASE shop');
	$node->safe_psql('shop', 'CREATE EXTENSION citus; CREATE EXTENSION crm_profile');
}
my $node = $nodes[0];
$node->safe_psql('shop', sprintf "SELECT citus_set_coordinator_host('%s', %d)", $node->host, $node->port);
$node->safe_psql('shop', sprintf "SELECT citus_add_node('%s', %d)", $_->host, $_->port) for @nodes[ 1, 2 ];
$node->safe_psql('postgres', 'CREATE DATABASE alone');
$node->safe_psql('alone', 'CREATE EXTENSION crm_profile');
$node->safe_psql('shop', 'CREATE ROLE clerk LOGIN');
create_shop($node, $_) for qw(alone shop);
my %columns = shop_tables();

# compare(HERE, THERE, NAME): every answer of THERE is that of HERE
sub compare
{
	my ($here, $there, $name) = @_;
	is($there->{$_}, $here->{$_}, "$name: $_") for sort keys %$here;
	return;
}

$node->safe_psql('shop', "SELECT create_distributed_table('$_', '$columns{$_}', colocate_with => 'none')") for sort keys %columns;
my ($status, $out, $err) = $node->psql('shop', source_of_shop());
unlike($err, qr/WARNING/, 'no warnings at create_source');
my $explained = $node->safe_psql('shop', q{SELECT crm_profile.explain_source('shop')});
like($explained, qr/Citus distributes public\.orders by customer_id: the workers make/, 'the workers make the histories');
like($explained, qr/public\.customers is on other machines: /, 'and it is told where they are stored');
$node->safe_psql('alone', source_of_shop());
# a reader who may see the customers of one country
my $reader = q{GRANT SELECT ON ALL TABLES IN SCHEMA public TO clerk; GRANT USAGE ON SCHEMA shop TO clerk; GRANT SELECT ON ALL TABLES IN SCHEMA shop TO clerk;
	ALTER TABLE customers ENABLE ROW LEVEL SECURITY; CREATE POLICY germans ON customers TO clerk USING (country = 'DE')};
$node->safe_psql($_, q{SELECT crm_profile.refresh('shop'); SELECT count(*) FROM crm_profile.check_source('shop');} . $reader) for qw(alone shop);
my $here = answers_of_shop($node, 'alone', every => 1);
my @failed = grep { $here->{$_} !~ /^(\(|$)/ && !/^(report|description)$/ } sort keys %$here;
is("@failed", '', 'all of it works on one server');
compare($here, answers_of_shop($node, 'shop', every => 1), 'all distributed');
my $here_read = answers_of_shop($node, 'alone', every => 1, before => 'SET ROLE clerk;');
compare($here_read, answers_of_shop($node, 'shop', every => 1, before => 'SET ROLE clerk;'), 'a reader under a policy');
my $join = q{SELECT count(*) FROM customers c JOIN shop.customer_history h ON h.customer = c.id WHERE c.country <> 'DE'};
($status, $out, $err) = $node->psql('shop', "SET ROLE clerk; $join");
like($err, qr/before the library crm_profile is loaded.*repeat the query.*session_preload_libraries/s, 'a join in the first query of a session is an error');
$node->safe_psql('shop', 'ALTER DATABASE shop SET session_preload_libraries = crm_profile');
is($node->safe_psql('shop', "SET ROLE clerk; $join"), 0, 'a join shows a reader nobody else');
is($node->safe_psql('shop', 'SET ROLE clerk; ' . $join =~ s/ h ON/ h TABLESAMPLE system (100) ON/r), 0, 'nor does a sample');
($status, $out, $err) = $node->psql('shop', 'SET ROLE clerk; ' . $join =~ s/count\(\*\)/h.customer/r . ' FOR UPDATE OF h');
like($err, qr/permission denied for table customer_history|cannot lock rows of table "customer_history"/, 'rows in a join are not locked');
$node->safe_psql('shop', 'CREATE TABLE own (customer integer); GRANT SELECT, UPDATE ON own TO clerk');
($status, $out, $err) = $node->psql('shop', 'SET ROLE clerk; UPDATE own SET customer = 0 FROM customers c WHERE c.id = customer');
like($err, qr/Citus cannot plan this query over table "customers".*in a subquery/s, 'a change of a local table by a distributed one is an error');
is($node->safe_psql('shop', q{SET ROLE clerk; BEGIN; DECLARE c CURSOR FOR SELECT customer FROM shop.customer_profile; SAVEPOINT s; FETCH 1 FROM c; ROLLBACK TO s; MOVE ALL FROM c;
	DECLARE d CURSOR WITH HOLD FOR SELECT customer FROM shop.customer_profile; COMMIT; MOVE ALL FROM d; SELECT 'alive'}) =~ s/.*\n//sr, 'alive', 'cursors over rows that come from elsewhere');
($status, $out, $err) = $node->psql('shop', q{SET ROLE clerk; SELECT count(*) FROM customers c JOIN shop.model h ON true JOIN shop.customer_history i ON i.customer = c.id WHERE c.id = 1; RESET ROLE;
	REVOKE SELECT ON shop.customer_history FROM clerk; SET ROLE clerk; } . $join);
like($err, qr/permission denied for table customer_history/, 'nor without the right to read it');
$node->safe_psql('shop', 'GRANT SELECT ON shop.customer_history TO clerk');
$node->safe_psql($_, q{SELECT crm_profile.alter_source('shop', materialize => true); SELECT crm_profile.refresh('shop')}) for qw(alone shop);
compare(answers_of_shop($node, 'alone', every => 1), answers_of_shop($node, 'shop', every => 1), 'materialised');
$node->safe_psql($_, 'DELETE FROM orders WHERE customer_id = 42') for qw(alone shop);
is($node->safe_psql('shop', q{SELECT histories_deleted FROM crm_profile.forget_customer('shop', 42)}), 1, 'a customer is forgotten');

($status, $out, $err) = $node->psql('shop', q{SELECT crm_profile.alter_source('shop', ordered_at => 'sold_at::date')});
like($err, qr/must not depend on/, 'days that the workers would see otherwise');
($status, $out, $err) = $node->psql('shop', q{SELECT customer_id, crm_profile.purchase_history_agg(sold_at, total) FROM orders GROUP BY customer_id});
like($err, qr/time zone of another server/, 'in plain SQL as well');
$node->safe_psql('shop', q{SELECT crm_profile.drop_source('shop')});

# other layouts: customers and leads on every node, and orders by another column than the customer, distributed when the source is there
$node->safe_psql('shop', "DROP TABLE $_") for sort keys %columns;
create_shop($node, 'shop');
$node->safe_psql('shop', "SELECT create_reference_table('$_')") for qw(customers leads);
$node->safe_psql('shop', "SELECT create_distributed_table('$_', '$columns{$_}')") for grep { !/^(customers|leads|orders)$/ } sort keys %columns;
$node->safe_psql('shop', source_of_shop());
$node->safe_psql('shop', q{SELECT create_distributed_table('orders', 'id')});
($status, $out, $err) = $node->psql('shop', q{SELECT crm_profile.refresh('shop')});
like($err, qr/Citus distributes relation public\.orders since the source was defined/i, 'orders are distributed later');
$node->safe_psql('shop', q{SELECT crm_profile.alter_source('shop'); SELECT crm_profile.refresh('shop'); SELECT count(*) FROM crm_profile.check_source('shop')});
compare($here, answers_of_shop($node, 'shop', every => 1), 'customers on every node, orders by their number');
$node->safe_psql('shop', $reader);
compare($here_read, answers_of_shop($node, 'shop', every => 1, before => 'SET ROLE clerk;'), 'customers on every node, a reader under a policy');
$_->stop for @nodes;

done_testing();
