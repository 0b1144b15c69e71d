# A database whose tables are all published, a source among them: refreshes go on, and a subscriber shows the same
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('server');
$node->init(allows_streaming => 'logical');
$node->append_conf('postgresql.conf', "autovacuum = off\njit = off\n");
$node->start;
$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(publisher subscriber);
$node->safe_psql('publisher', q{
	CREATE EXTENSION crm_profile;
	CREATE TABLE customers (id int PRIMARY KEY, region text);
	INSERT INTO customers SELECT i, 'r' || i % 3 FROM generate_series(1, 150) i;
	CREATE TABLE orders (id int PRIMARY KEY, customer_id int, day date, amount numeric(9,2));
	INSERT INTO orders SELECT i, 1 + i * 7 % 140, date '2025-01-01' + i % 120, i % 17 FROM generate_series(1, 800) i;
	INSERT INTO crm_profile.scheme (name, bins) VALUES ('own', 5);
	INSERT INTO crm_profile.scheme_rule (scheme, segment) VALUES ('own', 'All');
	INSERT INTO crm_profile.translation (key, language, text) VALUES ('segment.All', 'de', 'Alle');
	-- members buy three times as often as others, and seldom leave: worth knowing for a forecast
	CREATE TABLE people (id int PRIMARY KEY, member boolean);
	INSERT INTO people SELECT i, i % 5 < 2 FROM generate_series(1, 1000) i;
	CREATE TABLE buys (id serial PRIMARY KEY, person_id int, day date, amount numeric(9,2));
	SELECT setseed(0.5);
	DO $$
	DECLARE
		person record;
		at float8;
		rate float8;
	BEGIN
		FOR person IN SELECT p.* FROM people p ORDER BY p.id LOOP
			at := floor(random() * 1000);
			rate := -ln((1 - random()) * (1 - random())) / 120 * CASE WHEN person.member THEN 3 ELSE 1 END;
			LOOP
				INSERT INTO buys (person_id, day, amount) VALUES (person.id, date '2022-01-01' + floor(at)::int, 10 + floor(random() * 20));
				EXIT WHEN random() < CASE WHEN person.member THEN 0.05 ELSE 0.5 END;
				at := at - ln(1 - random()) / rate;
				EXIT WHEN at > 1095;
			END LOOP;
		END LOOP;
	END $$;
	CREATE PUBLICATION everything FOR ALL TABLES;
	SELECT crm_profile.create_source('shop', 'customers', 'orders', order_customer => 'customer_id', as_of => '2025-05-01', attributes => '{region}', track_changes => 'keys', materialize => true);
	SELECT crm_profile.refresh('shop');
	SELECT crm_profile.create_source('club', 'people', 'buys', order_customer => 'person_id', as_of => '2024-12-31');
	SELECT crm_profile.refresh('club')});

# ---------- a subscriber

my ($schema) = run_command([ 'pg_dump', '--schema-only', '--no-publications', '-d', $node->connstr('publisher') ]);
$node->safe_psql('subscriber', $schema);
# the extension has brought its own rows, which the publisher sends, too
$node->safe_psql('subscriber', 'SET session_replication_role = replica; TRUNCATE crm_profile.scheme, crm_profile.scheme_rule, crm_profile.translation');
# publisher and subscriber are databases of one server: the slot has to be made beforehand
$node->safe_psql('publisher', q{SELECT pg_create_logical_replication_slot('everything', 'pgoutput')});
my $publisher = $node->connstr('publisher') =~ s/'/''/gr;
$node->safe_psql('subscriber', qq{CREATE SUBSCRIPTION everything CONNECTION '$publisher' PUBLICATION everything WITH (create_slot = false)});
ok($node->poll_query_until('subscriber', q{SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel}), 'all tables are copied, those of the extension and of the source among them');

# same(WHAT): that both show the same, in the views and in what they are made from
sub same
{
	my ($what) = @_;
	my $shown = join '; ', map { qq{SELECT '$_', t::text FROM $_ t ORDER BY t::text COLLATE "C"} }
	  qw(shop.customer_profile shop.segment_summary_details shop.segment_persona shop.customer_history crm_profile.scheme crm_profile.translation);
	$node->wait_for_catchup('everything');
	my $here = $node->safe_psql('publisher', $shown);
	ok($here eq $node->safe_psql('subscriber', $shown), "both show the same $what") && cmp_ok(length($here), '>', 10000, 'and that is not nothing');
	return;
}
same('after the copy');
$node->safe_psql('publisher', q{
	INSERT INTO orders VALUES (1001, 2, '2025-04-30', 500), (1002, 145, '2025-04-30', 7);
	DELETE FROM orders WHERE customer_id = 8;
	UPDATE customers SET region = 'new' WHERE id % 5 = 0});
is($node->safe_psql('publisher', q{SELECT customers_written, customers_removed FROM crm_profile.refresh('shop')}), '2|1', 'where all tables are published, a refresh can still write');
same('after a refresh');
$node->safe_psql('publisher', q{SET client_min_messages = error; DELETE FROM orders WHERE customer_id = 15; DELETE FROM customers WHERE id = 15; SELECT crm_profile.forget_customer('shop', 15)});
same('after a customer was forgotten');
is($node->safe_psql('subscriber', 'SELECT count(*) FROM shop.customer_history WHERE customer = 15'), '0', 'the subscriber has forgotten, too');
is($node->safe_psql('publisher', q{SELECT customers_written FROM crm_profile.refresh('shop')}), '0', 'and refreshes go on');
# the subscriber has views of its own: definitions are no rows
$node->safe_psql('publisher', q{SET client_min_messages = error; SELECT crm_profile.alter_source('shop', as_of => '2025-05-20'); SELECT crm_profile.refresh('shop')});
$node->wait_for_catchup('everything');
$node->safe_psql('publisher', q{INSERT INTO orders VALUES (1003, 22, '2025-04-30', 7); SELECT crm_profile.refresh('shop')});
$node->wait_for_catchup('everything');
is($node->safe_psql('subscriber', q{SELECT as_of FROM crm_profile.sources_details WHERE name = 'shop'}), '2025-05-20', 'the definition of the source came');
# what attributes do comes and goes with a refresh, and a table that the subscriber has with what it is for: no row is left behind that the next ones would meet
my $effects = q{SELECT md5(coalesce(string_agg(e::text, ',' ORDER BY customer), '')), count(*) FROM club.customer_effect e};
for my $round ('once', 'and again')
{
	$node->safe_psql('publisher', q{SET client_min_messages = error; SELECT crm_profile.alter_source('club', attributes => '{member}'); SELECT crm_profile.refresh('club')});
	$node->wait_for_catchup('everything');
	like($node->safe_psql('subscriber', $effects), qr/\|1000$/, "effects of attributes reach the subscriber, $round");
	is($node->safe_psql('subscriber', $effects), $node->safe_psql('publisher', $effects), 'as they are');
	$node->safe_psql('publisher', q{SET client_min_messages = error; SELECT crm_profile.alter_source('club', reset => '{attributes}'); SELECT crm_profile.refresh('club');
		SELECT crm_profile.alter_source('shop', materialize => false, track_changes => 'none'); SELECT crm_profile.refresh('shop')});
	$node->wait_for_catchup('everything');
	is($node->safe_psql('subscriber', 'SELECT (SELECT count(*) FROM club.customer_effect), (SELECT count(*) FROM shop.stored_profile), (SELECT count(*) FROM shop.population)'), '0|0|0', 'and go');
	$node->safe_psql('publisher', q{SET client_min_messages = error; SELECT crm_profile.alter_source('shop', materialize => true, track_changes => 'keys'); SELECT crm_profile.refresh('shop')});
	$node->wait_for_catchup('everything');
	is($node->safe_psql('subscriber', 'SELECT count(*) FROM shop.stored_profile'), '149', 'stored profiles come again');
}
unlike(slurp_file($node->logfile), qr/duplicate key|could not|ERROR: .*replica identity/, 'nothing was refused');
$node->safe_psql('subscriber', 'DROP SUBSCRIPTION everything');
$node->stop;
done_testing();
