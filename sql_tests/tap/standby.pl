# A hot standby answers every read with the same rows as its primary
use strict;
use warnings;
use CrmProfile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

load_user_data($primary, 'shop');
$primary->safe_psql('shop', "INSERT INTO app.orders VALUES (1001, 5, '2025-01-01', 10, 3);
	UPDATE app.history SET history = crm_profile.purchase_history_add(history, '2025-01-01', 10, 3) WHERE customer = 5");
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('write'));
is($standby->safe_psql('shop', 'SELECT pg_is_in_recovery()'), 't', 'it is a standby');
is(contents($standby, 'shop'), contents($primary, 'shop'), 'the same rows');

# parallel workers read orders in bulk on a standby, too
my $scores = q{SELECT count(*), md5(string_agg(s::text, ',' ORDER BY customer))
	FROM crm_profile.rfm_scores(NULL::int, 'SELECT customer, ordered_on, amount FROM app.orders', '2025-12-31') s};
is($standby->safe_psql('shop', "SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; $scores"),
	$primary->safe_psql('shop', "SET max_parallel_workers_per_gather = 0; $scores"), 'the same scores by workers');

# functions that read a source do so on a standby, too, whatever it stores besides; those that write are refused
$primary->safe_psql('shop', q{
	SELECT crm_profile.create_source('tracked', 'app.customers', 'app.orders', order_customer => 'customer', amount => 'amount', as_of => '2025-04-30', attributes => '{region}', track_changes => 'keys');
	SELECT crm_profile.refresh('tracked');
	INSERT INTO app.orders VALUES (1002, 7, '2025-01-02', 10, 3)});
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('write'));
for my $source (qw(app tracked))
{
	for my $call (
		"crm_profile.profile_now('$source', 5)", "crm_profile.profile_now_details('$source', 7)", "crm_profile.check_source('$source')", "crm_profile.check_source_details('$source')",
		"crm_profile.explain_source('$source')", "crm_profile.describe_source('$source')", "crm_profile.segment_card('$source')", "crm_profile.customer_groups('$source')",
		"crm_profile.nearest_customers('$source', 5)", "crm_profile.select_audience('$source')", "crm_profile.plan_contacts('$source', 10, 1, lift => 0.05)", "$source.profile_as_of('2025-01-01')",
		"$source.segment_migration('2024-12-31', '2025-04-30')", "$source.due_actions('2025-03-01')", "regexp_replace(crm_profile.report('$source'), '[0-9]{2}:[0-9]{2}', '', 'g')", 'crm_profile.suggest_sources()', 'crm_profile.help()')
	{
		my $sql = qq{SET timezone = 'UTC'; SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text COLLATE "C")) FROM $call t};
		is($standby->safe_psql('shop', $sql), $primary->safe_psql('shop', $sql), "$call: the same");
	}
	for my $call ("refresh('$source')", "alter_source('$source', period => '1 year')", "forget_customer('$source', 5)", "drop_source('$source')", "create_source('new', 'app.customers', 'app.orders', order_customer => 'customer')")
	{
		my ($status, $out, $err) = $standby->psql('shop', "SELECT crm_profile.$call");
		like($err, qr/ERROR:  cannot execute .* (during recovery|in a read-only transaction)/, "$call: refused");
	}
}
my $listed = 'SELECT name, warning FROM crm_profile.sources ORDER BY 1';
is($standby->safe_psql('shop', $listed), $primary->safe_psql('shop', $listed), 'sources are listed, with their warnings');
is($primary->safe_psql('shop', q{SELECT changes_queued FROM crm_profile.sources_details WHERE name = 'tracked'}), '1', 'the primary knows what waits');

done_testing();
