# ALTER EXTENSION crm_profile UPDATE under a user's database: views of theirs, a source with its views, tables and policies, indexes on functions.
# The next version is made here; it does what an upgrade script may do: new bodies of functions, new functions, a new attribute of the type of definitions.
# The one after that changes a figure and adds a column to views and to the models of sources.
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
		SELECT p.customer, p.segment, p.monetary / s.monetary AS share_of_segment FROM app.customer_profile p JOIN app.segment_summary_details s USING (segment);
	CREATE VIEW app.on_functions AS
		SELECT customer, crm_profile.lifecycle(history, '2025-04-30', 30) AS lifecycle, crm_profile.r_score(crm_profile.rfm_score(history, rfm, '2025-04-30')) AS r
		FROM app.customer_history, (SELECT rfm FROM app.model ORDER BY id DESC LIMIT 1) m;
	CREATE VIEW app.a_year_ago AS SELECT * FROM app.profile_as_of('2024-04-30');
	CREATE INDEX on_function ON app.customer_history (crm_profile.last_purchase(history))});

# A source of another owner, and a reader of some of it
$node->safe_psql('postgres', 'CREATE ROLE keeper; CREATE ROLE analyst; GRANT CREATE ON DATABASE shop TO keeper');
$node->safe_psql('shop', q{
	GRANT USAGE ON SCHEMA app TO keeper, analyst;
	GRANT SELECT ON app.customers, app.orders TO keeper;
	GRANT SELECT (id) ON app.customers TO analyst;
	SET ROLE keeper;
	SELECT crm_profile.create_source('kept', 'app.customers', 'app.orders', order_customer => 'customer', amount => 'amount', as_of => '2025-04-30', attributes => '{region}');
	SELECT crm_profile.refresh('kept');
	GRANT USAGE ON SCHEMA kept TO analyst;
	GRANT SELECT ON ALL TABLES IN SCHEMA kept TO analyst;
	REVOKE ALL ON kept.segment_summary_details FROM analyst;
	GRANT SELECT (segment, customers) ON kept.segment_summary_details TO analyst;
	CREATE VIEW kept.gaps AS SELECT customer, mean_gap FROM kept.customer_profile;
	CREATE VIEW kept.march AS SELECT * FROM kept.profile_as_of('2025-03-31')});

# shown(DATABASE): all rows of all tables and views; the new column is empty
sub shown
{
	my ($database) = @_;
	my $rows = contents($node, $database);
	$rows =~ s/^(app\.source_definition:\n)(.*?)(?=^\S+:$|\z)/my ($name, $sources) = ($1, $2); $sources =~ s{,\)$}{)}mg; $name . $sources/mse;
	return $rows;
}

# Dependencies: each object of the user's schema and the objects of the extension that it needs
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
COMMENT ON COLUMN crm_profile.source_definition.remark IS 'in a word';
});

$node->safe_psql('shop', 'ALTER EXTENSION crm_profile UPDATE');
is($node->safe_psql('shop', q{SELECT extversion FROM pg_extension WHERE extname = 'crm_profile'}), "${version}next", 'updated');
is(shown('shop'), $rows, 'tables, views, and views of the user on them show the same');
is($node->safe_psql('shop', $dependencies), $needed, 'the same dependencies');
is($node->safe_psql('shop', q{SELECT crm_profile.lifecycle_next('{2025-04-29: 1}')}), 'new', 'what the new version brings is there');

# The source still works
is($node->safe_psql('shop', q{SELECT customers_written, customers_removed FROM crm_profile.refresh('app')}), '0|0', 'a refresh finds nothing that differs');
$node->safe_psql('shop', q{INSERT INTO app.orders VALUES (2001, 24, '2025-04-01', 10)});
is($node->safe_psql('shop', q{SELECT customers_written, customers_removed FROM crm_profile.refresh('app')}), '1|0', 'and then the order that came');
is($node->safe_psql('shop', q{SELECT frequency FROM app.customer_profile WHERE customer = 24}), '1', 'which the views show');
$node->safe_psql('shop', q{SELECT crm_profile.alter_source('app', period => '1 year'); SELECT crm_profile.refresh('app')});
like($node->safe_psql('shop', q{SELECT crm_profile.create_source('later', 'app.customers', 'app.orders', order_customer => 'customer', amount => 'amount'); SELECT crm_profile.refresh('later')}), qr/^\(\d+,13,13,0,/m, 'and so do new sources');
$node->safe_psql('shop', q{SELECT crm_profile.drop_source('later')});

# The version after that
my %was = map { $_ => $node->safe_psql('shop', qq{SELECT t::text FROM $_ t ORDER BY t::text COLLATE "C"}) } qw(app.on_views app.on_functions kept.march kept.segment_summary_details kept.rfm_grid);
my $gaps = $node->safe_psql('shop', 'SELECT customer, 2 * mean_gap FROM kept.gaps ORDER BY 1');
like($gaps, qr/^\d+\|\d/m, 'there are gaps');
my $rights = q{SELECT relname, relowner::regrole, relacl::text, (SELECT string_agg(attname || attacl::text, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = c.oid) FROM pg_class c
		WHERE relnamespace IN ('app'::regnamespace, 'kept'::regnamespace) UNION ALL
	SELECT proname, proowner::regrole, proacl::text, NULL FROM pg_proc WHERE pronamespace IN ('app'::regnamespace, 'kept'::regnamespace) ORDER BY 1, 2, 3};
my $held = $node->safe_psql('shop', $rights);
like($held, qr/^segment_summary_details\|keeper\|.*customers\{analyst=r/m, 'rights are seen');

my $figures = $node->safe_psql('shop', q{SELECT pg_get_functiondef(p.oid) FROM pg_proc p WHERE proname = 'customer_figures' AND pronamespace = 'crm_profile_internal'::regnamespace});
ok($figures =~ s/(crm_profile\.mean_gap\()/2 * $1/, 'the function of all figures has the mean gap');
ok($figures =~ s/;(\s*END)/, crm_profile.tenure(history, as_of);$1/, 'and an end');
$control =~ s/^default_version.*$/default_version = '${version}last'/m;
unlink "$extensions/crm_profile.control";
append_to_file("$extensions/crm_profile.control", $control);
append_to_file("$extensions/crm_profile--${version}next--${version}last.sql", qq{
ALTER TYPE crm_profile.source_model ADD ATTRIBUTE remark text CASCADE;
COMMENT ON COLUMN crm_profile.source_model.remark IS 'something new';
ALTER TYPE crm_profile.customer_profile_row ADD ATTRIBUTE tenure integer;
COMMENT ON COLUMN crm_profile.customer_profile_row.tenure IS 'days since the first order';
$figures;
SELECT crm_profile_internal.rebuild_sources();
});
my ($status, $out, $err) = $node->psql('shop', 'ALTER EXTENSION crm_profile UPDATE');
is("$status$err", '0', 'updated, without a warning');
is($node->safe_psql('shop', q{SELECT extversion FROM pg_extension WHERE extname = 'crm_profile'}), "${version}last", 'to that version');

is($node->safe_psql('shop', 'SELECT customer, mean_gap FROM kept.gaps ORDER BY 1'), $gaps, 'the figure is another, in the view of a user too');
is($node->safe_psql('shop', 'SELECT count(*), count(*) FILTER (WHERE tenure = as_of - first_purchase) FROM kept.customer_profile WHERE first_purchase IS NOT NULL'),
	$node->safe_psql('shop', 'SELECT count(*), count(*) FROM kept.customer_profile WHERE first_purchase IS NOT NULL'), 'the new column tells what it should');
is($node->safe_psql('shop', q{SELECT string_agg(format('%s %s', attrelid::regclass, col_description(attrelid, attnum)), '; ' ORDER BY attrelid::regclass::text)
	FROM pg_attribute WHERE attname IN ('tenure', 'remark') AND attrelid::regclass::text ~ '^(app|kept)'}),
	'app.customer_profile days since the first order; app.model something new; app.model_in_use something new; app.source_definition in a word; app.stored_profile days since the first order; '
	. 'kept.customer_profile days since the first order; kept.model something new; kept.model_in_use something new; kept.source_definition in a word',
	'new columns are there, with their comments');
is($node->safe_psql('shop', $rights), $held, 'the same owners, and the same rights');
is($node->safe_psql('shop', q{SELECT count(*) FROM pg_depend WHERE deptype = 'e' AND pg_describe_object(classid, objid, 0) ~ '\y(app|kept)\.'}), '0', 'nothing of a source belongs to the extension');
is(scalar(split /\n/, $node->safe_psql('shop', 'SELECT * FROM kept.march')), scalar(split /\n/, $was{'kept.march'}), 'a view over profile_as_of has its rows');
is($node->safe_psql('shop', q{SELECT count(*) FROM pg_attribute WHERE attrelid = 'kept.march'::regclass AND attname = 'tenure'}), '0', 'and its columns');
is($node->safe_psql('shop', qq{SELECT t::text FROM $_ t ORDER BY t::text COLLATE "C"}), $was{$_}, "$_ shows the same") for qw(app.on_views app.on_functions kept.segment_summary_details kept.rfm_grid);
is($node->safe_psql('shop', 'SET ROLE analyst; SELECT count(tenure) > 0 FROM kept.customer_profile; SELECT sum(customers) FROM kept.segment_summary_details'), "t\n121", 'who could read before reads');
(undef, undef, $err) = $node->psql('shop', 'SET ROLE analyst; SELECT sum(monetary) FROM kept.segment_summary_details');
like($err, qr/permission denied/, 'and no more');
is($node->safe_psql('shop', q{SELECT customers_written, customers_removed FROM crm_profile.refresh('app')}), '0|0', 'sources go on being refreshed');
is($node->safe_psql('shop', 'SELECT count(*) FILTER (WHERE tenure = as_of - first_purchase) = count(first_purchase) AND count(tenure) > 0 FROM app.customer_profile'), 't', 'which fills in what is materialized');
is($node->safe_psql('shop', q{SET ROLE keeper; SELECT customers_written FROM crm_profile.refresh('kept')}), '1', 'by their owners');
is($node->safe_psql('shop', q{SELECT customer::text, tenure FROM crm_profile.profile_now_details('kept', 5)}), $node->safe_psql('shop', 'SELECT customer, tenure FROM kept.customer_profile WHERE customer = 5'),
	'profile_now has the column, too');

# A source whose table is missing does not stop an upgrade
$node->safe_psql('shop', q{CREATE TABLE app.few AS SELECT * FROM app.customers; ALTER TABLE app.few ADD PRIMARY KEY (id);
	SELECT crm_profile.create_source('few', 'app.few', 'app.orders', order_customer => 'customer', amount => 'amount', as_of => '2025-04-30'); DROP TABLE app.few CASCADE});
(undef, undef, $err) = $node->psql('shop', 'SELECT crm_profile_internal.rebuild_sources()');
like($err, qr/^psql:<stdin>:1: WARNING:  the views of source "few" could not be rebuilt: source "few": relation "app.few" does not exist/, 'it is told');
$node->safe_psql('shop', q{SELECT crm_profile.drop_source('few', cascade => true)});
# A dump taken afterwards
my $file = PostgreSQL::Test::Utils::tempdir . '/shop.dump';
command_ok([ 'pg_dump', '-Fc', '-f', $file, '-d', $node->connstr('shop') ], 'dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('restored'), $file ], 'restored');
is($node->safe_psql('restored', q{SELECT extversion FROM pg_extension WHERE extname = 'crm_profile'}), "${version}last", 'with the new version');
is(shown('restored'), shown('shop'), 'the same rows');
# a view over a function names the columns that the function had when the view was created
my %dump = map { $_ => schema_of($node, $_) =~ s/ profile_as_of\(customer, .*?\)//gr } qw(restored shop);
is($dump{restored}, $dump{shop}, 'the same dump');
is($node->safe_psql('restored', $dependencies), $node->safe_psql('shop', $dependencies), 'the same dependencies');

# Users' objects on top of it prevent dropping it
($status, $out, $err) = $node->psql('shop', 'DROP EXTENSION crm_profile');
like($err, qr/view app\.on_functions depends on /, 'the extension does not go from under a view');

done_testing();
