# ALTER EXTENSION crm_profile UPDATE under a user's database: views of theirs, a source with its views, tables and policies, indexes on functions.
# The next version is made here; it does what an upgrade script may do: functions get new bodies, new ones come, the type of definitions, and so every source's table of it, gets an attribute.
use strict;
use warnings;
use CrmProfile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('server');
$node->init;
my $extensions = private_extensions($node) or plan skip_all => 'the extension is installed for good';
$node->start;
load_user_data($node, 'shop');
$node->safe_psql('shop', q{
	CREATE VIEW app.on_views AS
		SELECT p.customer, p.segment, p.monetary / s.monetary AS share_of_segment FROM app.customer_profile p JOIN app.segment_summary s USING (segment);
	CREATE VIEW app.on_functions AS
		SELECT customer, crm_profile.lifecycle(history, '2025-04-30', 30) AS lifecycle, crm_profile.r_score(crm_profile.rfm_score(history, rfm, '2025-04-30')) AS r
		FROM app.customer_history, (SELECT rfm FROM app.model ORDER BY id DESC LIMIT 1) m;
	CREATE VIEW app.a_year_ago AS SELECT * FROM app.profile_as_of('2024-04-30');
	CREATE INDEX on_function ON app.customer_history (crm_profile.last_purchase(history))});

# shown(DATABASE): all rows of all tables and views; the new column is empty
sub shown
{
	my ($database) = @_;
	my $rows = contents($node, $database);
	$rows =~ s/^(app\.source_definition:\n.*?),\)$/$1)/ms;
	return $rows;
}

# What holds on to what: each object of the user's schema and what of the extension it needs
my $dependencies = q{SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid) || ' -> ' || pg_describe_object(d.refclassid, d.refobjid, 0)
	FROM pg_depend d JOIN pg_depend e ON (e.classid, e.objid) = (d.refclassid, d.refobjid) AND e.deptype = 'e' JOIN pg_extension x ON x.oid = e.refobjid AND extname = 'crm_profile'
	WHERE pg_describe_object(d.classid, d.objid, d.objsubid) ~ '\yapp\.' ORDER BY 1};

my $rows = contents($node, 'shop');
like($rows, qr/^app\.$_:\n\(/m, "$_ shows something") for qw(on_views on_functions a_year_ago);
my $needed = $node->safe_psql('shop', $dependencies);
like($needed, qr/view app\.on_functions -> function crm_profile\.lifecycle\(/, 'dependencies are seen');

(my $version) = $node->safe_psql('shop', q{SELECT extversion FROM pg_extension WHERE extname = 'crm_profile'});
my $control = slurp_file("$extensions/crm_profile.control");
$control =~ s/^default_version.*$/default_version = '${version}next'/m;
unlink "$extensions/crm_profile.control";
append_to_file("$extensions/crm_profile.control", $control);
append_to_file("$extensions/crm_profile--${version}--${version}next.sql", q{
CREATE OR REPLACE FUNCTION crm_profile.lifecycle(history crm_profile.purchase_history, as_of date, active_days integer) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 6;
CREATE OR REPLACE FUNCTION crm_profile_internal.source_columns(relation oid) RETURNS text[]
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN (SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute WHERE attnum > 0 AND attrelid = relation AND NOT attisdropped);
CREATE FUNCTION crm_profile.lifecycle_next(history crm_profile.purchase_history) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN crm_profile.lifecycle(history, '2025-04-30', 30);
ALTER TYPE crm_profile.source_definition ADD ATTRIBUTE remark text CASCADE;
});

$node->safe_psql('shop', 'ALTER EXTENSION crm_profile UPDATE');
is($node->safe_psql('shop', q{SELECT extversion FROM pg_extension WHERE extname = 'crm_profile'}), "${version}next", 'updated');
is(shown('shop'), $rows, 'tables, views, and views of the user on them show the same');
is($node->safe_psql('shop', $dependencies), $needed, 'the same dependencies');
is($node->safe_psql('shop', q{SELECT crm_profile.lifecycle_next('{2025-04-29: 1}')}), 'new', 'what the new version brings is there');

# The source goes on working
is($node->safe_psql('shop', q{SELECT customers_written, customers_removed FROM crm_profile.refresh('app')}), '0|0', 'a refresh finds nothing that differs');
$node->safe_psql('shop', q{INSERT INTO app.orders VALUES (2001, 24, '2025-04-01', 10)});
is($node->safe_psql('shop', q{SELECT customers_written, customers_removed FROM crm_profile.refresh('app')}), '1|0', 'and then the order that came');
is($node->safe_psql('shop', q{SELECT frequency FROM app.customer_profile WHERE customer = 24}), '1', 'which the views show');
$node->safe_psql('shop', q{SELECT crm_profile.alter_source('app', period => '1 year'); SELECT crm_profile.refresh('app')});
like($node->safe_psql('shop', q{SELECT crm_profile.create_source('later', 'app.customers', 'app.orders', order_customer => 'customer', amount => 'amount'); SELECT crm_profile.refresh('later')}), qr/^\(\d+,13,13,0,/m, 'and so do new sources');
$node->safe_psql('shop', q{SELECT crm_profile.drop_source('later')});

# A dump taken afterwards
my $file = PostgreSQL::Test::Utils::tempdir . '/shop.dump';
command_ok([ 'pg_dump', '-Fc', '-f', $file, '-d', $node->connstr('shop') ], 'dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('restored'), $file ], 'restored');
is($node->safe_psql('restored', q{SELECT extversion FROM pg_extension WHERE extname = 'crm_profile'}), "${version}next", 'with the new version');
is(shown('restored'), shown('shop'), 'the same rows');
is(schema_of($node, 'restored'), schema_of($node, 'shop'), 'the same dump');
is($node->safe_psql('restored', $dependencies), $node->safe_psql('shop', $dependencies), 'the same dependencies');

# What users built on it holds it
my ($status, $out, $err) = $node->psql('shop', 'DROP EXTENSION crm_profile');
like($err, qr/view app\.on_functions depends on function crm_profile\.lifecycle/, 'the extension does not go from under a view');

done_testing();
