# The dirt of a real order table: Online Retail (UCI, doi 10.24432/C5BW33) line by line as it comes. Each fault is counted here by plain SQL or Perl and must
# be found, and nothing else; then it is corrected. The data are not part of the project: ONLINE_RETAIL=…/online_retail.csv.gz says where they are,
# UCI's sheet as CSV, packed by gzip.
use strict;
use warnings;
use CrmProfile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $file = $ENV{ONLINE_RETAIL};
plan skip_all => 'ONLINE_RETAIL does not say where the data are' if !$file;
die "$file is missing" if !-e $file;
my $node = PostgreSQL::Test::Cluster->new('shop');
$node->init;
$node->append_conf('postgresql.conf', "client_min_messages = error\ntimezone = UTC\n");
$node->start;
sub sql { return $node->safe_psql('postgres', $_[0]) }
sub found { return sql("SELECT concat_ws(' ', $_[1]) FROM crm_profile.check_source_details('retail') WHERE finding = '$_[0]'") }

sql(q{CREATE EXTENSION crm_profile;
	CREATE TABLE line (invoice text, stock_code text, description text, quantity integer, at timestamp, unit_price numeric, customer integer, country text)});
sql(qq{COPY line FROM PROGRAM 'gzip -dc "$file"' (FORMAT csv, HEADER)});
sql(q{CREATE TABLE customers AS SELECT DISTINCT customer FROM line WHERE customer IS NOT NULL;
	ALTER TABLE customers ADD PRIMARY KEY (customer);
	CREATE VIEW invoice AS SELECT invoice, customer, min(at) AS at, sum(quantity * unit_price) AS amount FROM line GROUP BY invoice, customer;
	ANALYZE});
is(sql('SELECT count(*), count(*) FILTER (WHERE customer IS NULL), count(*) - (SELECT count(*) FROM (SELECT DISTINCT * FROM line) l) FROM line'), '541909|135080|5268', 'lines, those without customer, and exact copies');
sql(q{SELECT crm_profile.create_source('retail', 'customers', 'line', order_customer => 'customer', ordered_at => 'at', amount => 'quantity * unit_price', order_key => 'invoice', as_of => '2011-12-31', clv_model => 'bg/nbd')});

# what there is, counted without the extension
my $orders = sql('SELECT count(*), trim_scale(sum(amount)) FROM invoice WHERE customer IS NULL') =~ s/\|/ /r;
is($orders, '3710 1447682.12', 'orders of the lines without customer');
my $first = 'SELECT customer, min(at::date) FILTER (WHERE amount >= 0) AS day FROM invoice GROUP BY customer';
my %expected = (
	'orders without customer' => $orders,
	'order lines that are copies of others' => sql('SELECT sum(n - 1), trim_scale(sum((n - 1) * amount)) FROM (SELECT count(*) AS n, quantity * unit_price AS amount FROM line l GROUP BY l.*, quantity * unit_price HAVING count(*) > 1) l') =~ s/\|/ /r,
	'orders of amount 0' => sql('SELECT count(*), 0 FROM invoice WHERE amount = 0 AND customer IS NOT NULL') =~ s/\|/ /r,
	'refunds' => sql('SELECT count(*), trim_scale(sum(amount)) FROM invoice WHERE amount < 0 AND customer IS NOT NULL') =~ s/\|/ /r,
	'refunds without a purchase' => sql("SELECT count(*) FROM (SELECT DISTINCT i.customer, i.at::date FROM invoice i JOIN ($first) f USING (customer) WHERE i.amount < 0 AND (f.day IS NULL OR i.at::date < f.day)) d")
	  . ' ' . sql("SELECT trim_scale(sum(i.amount)) FROM invoice i JOIN ($first) f USING (customer) WHERE i.amount < 0 AND (f.day IS NULL OR i.at::date < f.day)"),
	'orders refunded in full, and their refunds' => refunded_in_full(),
	'customers without orders' => sql("SELECT count(*) FROM ($first) f WHERE day IS NULL AND customer IS NOT NULL"));
my $fence = sql(q{SELECT substring(argument FROM '"clip_above": ([0-9.]+)') FROM crm_profile.check_source_details('retail') WHERE finding = 'amounts out of proportion'});
$expected{'amounts out of proportion'} = sql("SELECT count(*), trim_scale(sum(amount)) FROM invoice WHERE abs(amount) > $fence") =~ s/\|/ /r;
for my $finding (sort keys %expected)
{
	is(found($finding, $finding eq 'customers without orders' ? 'rows' : 'rows, revenue'), $expected{$finding}, $finding);
}
is(found('orders of amount 0', 'rows'), '4', 'four orders of nothing, where lines would be 2 515');
# the shop is closed on Saturdays, which are none; each day named is one without any order
my $closed = found('days without any orders', 'rows, advice');
my ($days, $stretches) = $closed =~ /^(\d+) Closed, or lost on the way\? (.*)$/;
is(sql("SELECT count(*) FROM regexp_split_to_table('$stretches', ', ') s, LATERAL (SELECT split_part(s, ' to ', 1)::date AS first, coalesce(NULLIF(split_part(s, ' to ', 2), ''), s)::date AS last) r
	JOIN invoice i ON i.at::date BETWEEN r.first AND r.last"), '0', "$days days without orders");
is(sql(q{SELECT string_agg(finding, '; ' ORDER BY finding COLLATE "C") FROM crm_profile.check_source_details('retail')}), join('; ', sort(keys %expected, 'days without any orders')), 'and nothing else is found');

# all views and the ledger say one sum
my $total = sql('SELECT trim_scale(sum(amount)) FROM invoice');
is($total, '9747747.934', 'the ledger');
sub totals
{
	return sql(q{SELECT trim_scale(sum(monetary)) FROM retail.segment_summary UNION ALL SELECT trim_scale(sum(amount)) FROM retail.purchase_calendar
		UNION ALL SELECT trim_scale((SELECT sum(monetary) FROM retail.customer_profile) + (SELECT sum(monetary) FROM retail.segment_summary WHERE segment IN ('(no customer)', '(refunds only)')))});
}
sql(q{SELECT crm_profile.refresh('retail')});
is(totals(), join("\n", ($total) x 3), 'segment_summary, purchase_calendar and customer_profile');
is(sql(q{SELECT customers, trim_scale(monetary) FROM retail.segment_summary WHERE segment = '(refunds only)'}), '33|-10411.24', 'customers with refunds alone are a line of their own');

# corrected: the copies go, and fully refunded orders with their refunds
sql(q{SELECT crm_profile.alter_source('retail', corrections => '{"duplicates": "drop"}'); SELECT crm_profile.refresh('retail')});
is(sql(q{SELECT rows FROM retail.data_quality WHERE severity = 'corrected'}), '5268', 'copies left out');
$total = sql('SELECT trim_scale(sum(quantity * unit_price)) FROM (SELECT DISTINCT * FROM line) l');
is(totals(), join("\n", ($total) x 3), 'the ledger without them');
is(sql(q{SELECT count(*) FROM (SELECT customer, crm_profile.purchase_history_agg(at::date, amount) AS history FROM (SELECT customer, min(at) AS at, sum(quantity * unit_price) AS amount FROM (SELECT DISTINCT * FROM line) l WHERE customer IS NOT NULL GROUP BY invoice, customer) o GROUP BY 1) n
	FULL JOIN retail.customer_history h USING (customer) WHERE n.history::text IS DISTINCT FROM h.history::text}), '0', 'and each history');
sql(q{SELECT crm_profile.alter_source('retail', corrections => '{"refunds": "cancel"}'); SELECT crm_profile.refresh('retail')});
is(sql(q{SELECT rows FROM retail.data_quality WHERE severity = 'corrected'}), (split / /, $expected{'orders refunded in full, and their refunds'})[0], 'orders refunded in full left out');
$node->stop;
done_testing();

# number and sum of the orders that a later refund of the same amount cancels, the latest first, and of these refunds
sub refunded_in_full
{
	my (%open, $n);
	for (split /\n/, sql('SELECT customer, trim_scale(abs(amount)), amount > 0 FROM invoice WHERE customer IS NOT NULL AND amount <> 0 ORDER BY customer, at, amount DESC'))
	{
		my ($customer, $amount, $came) = split /\|/;
		if ($came eq 't') { $open{"$customer $amount"}++ }
		elsif ($open{"$customer $amount"}) { $open{"$customer $amount"}--; $n += 2 }
	}
	return "$n 0";
}
