# Shared by the TAP tests of tables that Citus distributes: a shop with every kind of table that a source reads, and what its views and functions answer
package Elsewhere;

use strict;
use warnings;
use Exporter 'import';

our @EXPORT = qw(shop_tables create_shop source_of_shop answers_of_shop);

# shop_tables(): their names, each with the column that a cluster would distribute it by
sub shop_tables
{
	return (customers => 'id', orders => 'customer_id', order_lines => 'customer_id', contacts => 'customer_id', payments => 'customer_id', leads => 'id', visits => 'customer_id');
}

# create_shop(NODE, DATABASE): creates and fills them; the same rows every time
sub create_shop
{
	my ($node, $database) = @_;
	$node->safe_psql($database, q{
	SET timezone = 'UTC';
	CREATE TABLE customers (id int PRIMARY KEY, country text, age int, vip boolean, born date);
	CREATE TABLE orders (id bigint, customer_id bigint, sold_at timestamptz NOT NULL, total numeric, code text, PRIMARY KEY (id, customer_id));
	CREATE TABLE order_lines (line bigint, order_id bigint, customer_id int, sold_at timestamptz, product text, category text, price numeric, PRIMARY KEY (line, customer_id));
	CREATE TABLE contacts (customer_id int, campaign text, contacted_at date, treated boolean, responded_at date, PRIMARY KEY (customer_id, campaign));
	CREATE TABLE payments (id bigint, customer_id int, due_on date, paid_on date, amount numeric, PRIMARY KEY (id, customer_id));
	CREATE TABLE leads (id int PRIMARY KEY, country text, age int, vip boolean);
	CREATE TABLE visits (id bigint, customer_id int, seen_at timestamptz, PRIMARY KEY (id, customer_id));
	INSERT INTO customers SELECT i, (ARRAY['AT','DE','CH','IT'])[1 + i % 4], 18 + i * 7 % 60, i % 5 = 0, date '1950-01-01' + i * 13 % 18000 FROM generate_series(1, 600) i;
	INSERT INTO orders SELECT i, 1 + i * 7919::bigint % (1 + i * 31 % 563), timestamptz '2024-01-01 00:00 UTC' + i * 10007 % 43200000 * interval '1 second', (500 + i * 7907 % 20000) / 100.0, CASE WHEN i % 50 = 0 THEN 'SPRING' END
		FROM generate_series(1::bigint, 6000) i;
	INSERT INTO order_lines SELECT o.id * 3 + n, o.id, o.customer_id, o.sold_at, 'p' || (o.id * (n + 1) % 20), 'c' || (o.id * (n + 1) % 5), round(o.total / 3, 2) FROM orders o, generate_series(0, 2) n;
	INSERT INTO contacts SELECT i, 'spring', '2025-02-01', i % 3 > 0, CASE WHEN i % 7 = 0 THEN date '2025-02-10' END FROM generate_series(1, 500) i;
	INSERT INTO payments SELECT o.id, o.customer_id, o.sold_at::date + 30, CASE WHEN o.id % 11 > 0 THEN o.sold_at::date + 20 + (o.id % 30)::int END, o.total FROM orders o WHERE o.id % 3 = 0;
	INSERT INTO leads SELECT i, (ARRAY['AT','DE','CH','IT'])[1 + i % 4], 18 + i * 11 % 60, i % 3 = 0 FROM generate_series(100001, 100200) i;
	INSERT INTO visits SELECT i, 500 + i % 150, timestamptz '2025-01-01 UTC' + i * interval '1 hour' FROM generate_series(1, 300) i;
	ANALYZE});
	return;
}

# source_of_shop(MORE): the call that creates the source shop over them, with more arguments
sub source_of_shop
{
	my ($more) = @_;
	return "SELECT crm_profile.create_source('shop', 'customers', 'orders', order_customer => 'customer_id', ordered_at => 'sold_at', amount => 'total', time_zone => 'Asia/Kathmandu', as_of => '2025-05-20',
		attributes => '{country,age,vip}', prospects => 'leads', prospect_key => 'id', interactions => 'visits', interaction_customer => 'customer_id', interacted_at => 'seen_at',
		campaigns => 'contacts', campaign_customer => 'customer_id', campaign_name => 'campaign', contacted_at => 'contacted_at', treated => 'treated', responded_at => 'responded_at', campaign_code => '''SPRING''',
		order_code => 'code', lines => 'order_lines', line_order => 'order_id', line_customer => 'customer_id', line_day => 'sold_at', line_product => 'product', line_category => 'category',
		payments => 'payments', payment_customer => 'customer_id', payment_due => 'due_on', payment_paid => 'paid_on', payment_amount => 'amount', birthday => 'born'" . ($more // '') . ')';
}

# answers_of_shop(NODE, DATABASE, OPTIONS): what the views and functions of the source answer, as a hash; before: SQL that is run before; every: of more functions, which take longer
sub answers_of_shop
{
	my ($node, $database, %options) = @_;
	my %queries = map { $_ => "shop.$_ v" } split /\n/, $node->safe_psql($database, q{SELECT relname FROM pg_class WHERE relnamespace = 'shop'::regnamespace
		AND (relkind = 'v' OR relname IN ('customer_history', 'unknown_customer', 'stored_profile', 'product_complement')) AND relname NOT IN ('customers', 'orders', 'order_lines', 'contacts', 'payments', 'leads', 'visits')});
	%queries = (%queries, 'a day' => q{shop.profile_as_of('2025-01-01') v}, 'migration' => q{shop.segment_migration('2025-01-01', '2025-05-01') v}, 'migration, refitted' => q{shop.segment_migration('2025-01-01', '2025-05-01', true) v},
		'one customer' => 'shop.customer_profile v WHERE customer = 42', 'actions' => q{shop.due_actions('2025-04-01') v}, 'retention' => q{crm_profile.cohort_retention('shop', '2025-01-01') v},
		'evaluation' => q{crm_profile.evaluate_scheme('shop', 'standard', '2025-01-01', 90) v}, 'comparison' => q{crm_profile.compare_schemes('shop', NULL, '2025-01-01', 90) v},
		'payments' => q{crm_profile.payment_behaviour('shop', '2025-01-01') v}, 'audience' => q{crm_profile.select_audience('shop', 'segment = ''At Risk''') v}, 'niches' => q{crm_profile.profitable_niches('shop') v},
		'segment' => q{crm_profile.explain_segment('shop', 'At Risk') v}, 'report' => q{crm_profile.report('shop') v});
	%queries = (%queries, 'affinity' => q{shop.product_affinity('2025-01-01') v}, 'complements' => q{crm_profile.complements('shop', 'p3', '2025-01-01') v},
		'next product' => q{crm_profile.next_product('shop', '43') v}, 'plan' => q{crm_profile.campaign_plan('shop', 500, 2) v}, 'contacts to be made' => q{crm_profile.plan_contacts('shop', 500, 2) v},
		'groups' => q{crm_profile.customer_groups('shop', 3) v}, 'nearest' => q{crm_profile.nearest_customers('shop', 43) v}, 'prospects' => q{crm_profile.match_prospects('shop') v}, 'cards' => q{crm_profile.segment_card('shop') v},
		'drift' => q{crm_profile.segment_drift('shop', '2025-01-01', '2025-05-01') v}, 'value migration' => q{crm_profile.segment_value_migration('shop', '2025-01-01', '2025-05-01') v},
		'variance' => q{crm_profile.segment_variance('shop') v},
		# joins that a reader writes
		'own join' => q{(SELECT c.country, count(*), sum(crm_profile.monetary(h.history, '2025-05-20')) FROM customers c JOIN shop.customer_history h ON h.customer = c.id GROUP BY 1) v},
		'own join, turned round' => q{(SELECT count(*), sum(c.age) FROM shop.customer_history h JOIN customers c ON c.id = h.customer WHERE c.age > 40) v},
		'own join of two tables' => q{(SELECT c.country, count(e.customer), count(*) FROM customers c LEFT JOIN shop.customer_history h ON h.customer = c.id LEFT JOIN shop.customer_effect e ON e.customer = c.id GROUP BY 1) v},
		'own join of a view' => q{(SELECT c.country, p.segment, count(*) FROM shop.customer_profile p JOIN customers c ON c.id = p.customer GROUP BY 1, 2) v}, 'faults' => q{crm_profile.check_source('shop') v}, 'description' => q{crm_profile.describe_source('shop') v}, 'now' => q{crm_profile.profile_now('shop', 43) v},
		map { ("$_, a day" => "crm_profile.$_('shop', as_of => '2025-01-01') v") } qw(cohort_value costly_customers new_and_returning returning_customer_rate seasonal_buyers second_purchase value_concentration)) if $options{every};
	# one session: an error is told under the name of its query
	my $script = ($options{before} // '') . qq{SET timezone = 'UTC';\n};
	$script .= qq{\\echo == $_\nSELECT v::text FROM $queries{$_} ORDER BY v::text COLLATE "C";\n\\if :ERROR\n\\echo :LAST_ERROR_MESSAGE\n\\endif\n} for sort keys %queries;
	my ($status, $out) = $node->psql($database, $script, on_error_stop => 0);
	# when something was found, or fitted, differs
	$out =~ s/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\+00|\d{4}-\d\d-\d\d \d\d:\d\d UTC//g;
	# the last digits of sums of floats, whose rows come in another order
	$out =~ s/(-?\d+\.\d{12,})/sprintf '%.11g', $1/ge;
	return { map { /\A(.*?)\n(.*)\z/s ? ($1, $2) : ($_, '') } grep { $_ ne '' } split /^== /m, $out };
}

1;
