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

done_testing();
