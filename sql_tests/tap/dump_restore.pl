# pg_dump and pg_restore move a database with the extension, and each of its sources, to another server: the whole database or one schema, by a
# superuser or by the owner, also to other roles. The result dumps to the same text again, and a restored source works at once
use strict;
use warnings;
use CrmProfile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = PostgreSQL::Test::Cluster->new('old');
$old->init;
$old->start;
my $new = PostgreSQL::Test::Cluster->new('new');
$new->init;
$new->append_conf('postgresql.conf', "timezone = 'Pacific/Chatham'\ndatestyle = 'SQL, DMY'\n");
$new->start;
my $files = PostgreSQL::Test::Utils::tempdir;

# ---------------------------------------------------------------- the whole database, by a superuser
load_user_data($old, 'shop');
my $contents = contents($old, 'shop');
like($contents, qr/^app\.history:\n\(/m, 'there is something to lose');

for my $way ([ 'one file', '-Fc' ], [ 'a directory, in parallel', '-Fd', '-j2' ])
{
	my ($what, $format, @jobs) = @$way;
	my $database = lc "restored" . $format =~ tr{-}{_}r;
	command_ok([ 'pg_dump', $format, @jobs, '-f', "$files/shop$format", '-d', $old->connstr('shop') ], "$what: dumped");
	$new->safe_psql('postgres', "CREATE DATABASE $database");
	command_ok([ 'pg_restore', '--exit-on-error', @jobs, '-d', $new->connstr($database), "$files/shop$format" ], "$what: restored");

	# Dates inside rows follow the session's DateStyle: the same session settings for both
	$new->safe_psql('postgres', "ALTER DATABASE $database SET datestyle = 'ISO, MDY'");
	is(contents($new, $database), $contents, "$what: the same rows");
	$new->safe_psql('postgres', "ALTER DATABASE $database RESET datestyle");
	is(schema_of($new, $database), schema_of($old, 'shop'), "$what: the same dump");
	is($new->safe_psql($database, q{SELECT customers_written, customers_removed FROM crm_profile.refresh('app')}), '0|0', "$what: a refresh finds nothing that differs");
}

# Dropping the extension removes everything that it created
$new->safe_psql('restored_fc', 'DROP SCHEMA app CASCADE; DROP EXTENSION crm_profile');
is($new->safe_psql('restored_fc', "SELECT count(*) FROM pg_proc WHERE probin LIKE '%crm_profile%'"), '0', 'dropped without a trace');
$new->safe_psql('restored_fc', 'CREATE EXTENSION crm_profile');

# ---------------------------------------------------------------- by the owner of the database, who is not a superuser
for my $node ($old, $new)
{
	$node->safe_psql('postgres', "CREATE ROLE $_ LOGIN") for qw(keeper reader heir);
}
$old->safe_psql('postgres', 'DROP ROLE heir; CREATE DATABASE owned OWNER keeper');
$old->safe_psql('owned', 'CREATE EXTENSION crm_profile');
$old->safe_psql('owned', q{
	CREATE SCHEMA trade;
	CREATE TABLE trade.customer (id int PRIMARY KEY, region text);
	INSERT INTO trade.customer SELECT i, 'r' || i % 3 FROM generate_series(1, 60) i;
	CREATE TABLE trade.orders (customer_id int, day text, amount numeric);
	INSERT INTO trade.orders SELECT 1 + i % 41, to_char(date '2025-01-01' + i, 'DD.MM.YYYY'), i % 13 FROM generate_series(1, 300) i;
	GRANT USAGE ON SCHEMA trade TO reader;
	GRANT SELECT ON trade.customer TO reader;
	SET datestyle = 'ISO, DMY';
	SELECT crm_profile.create_source('shop', 'trade.customer', 'trade.orders', order_customer => 'customer_id', ordered_at => 'day::date', as_of => '2025-10-29', materialize => true, attributes => '{region}');
	SELECT crm_profile.refresh('shop');
	GRANT USAGE ON SCHEMA shop TO reader;
	GRANT SELECT ON ALL TABLES IN SCHEMA shop TO reader}, extra_params => [ '-U', 'keeper' ]);

# summary(NODE, DATABASE, ROLE, SCHEMA): what a source shows
sub summary
{
	my ($node, $database, $role, $schema) = @_;
	return $node->safe_psql($database, "SELECT segment, customers, monetary FROM $schema.segment_summary", extra_params => [ '-U', $role ]);
}
my $shown = summary($old, 'owned', 'keeper', 'shop');
like($shown, qr/\|[1-9]\d*\|/, 'the source shows something');
my @owner = ('-U', 'keeper', '-d', $old->connstr('owned'));

# works(DATABASE, OWNER, SOURCE, WHAT): a restored source belongs to its owner and can do everything that a source can
sub works
{
	my ($database, $owner, $source, $what) = @_;
	my @as = (extra_params => [ '-U', $owner ]);
	is($new->safe_psql($database, 'SELECT name, owner, warning FROM crm_profile.sources_details', @as), "$source|$owner|", "$what: the owner has it");
	is($new->safe_psql($database, 'SELECT name, owner FROM crm_profile.sources'), "$source|$owner", "$what: a superuser sees whose it is");
	is(summary($new, $database, $owner, $source), $shown, "$what: the views show the same");
	is($new->safe_psql($database, "SELECT customers, customers_written, customers_removed FROM crm_profile.refresh('$source')"), '41|0|0', "$what: a refresh by a superuser finds nothing that differs");
	$new->safe_psql($database, "SELECT crm_profile.alter_source('$source', order_filter => 'customer_id <> 1'); SELECT crm_profile.refresh('$source')", @as);
	is($new->safe_psql($database, "SELECT count(*) FROM $source.customer_profile WHERE frequency > 0", @as), '40', "$what: it can be altered");
	my ($status, $out, $err) = $new->psql($database, "SELECT * FROM crm_profile.create_source('$source', 'trade.customer', 'trade.orders')", @as);
	like($err, qr/source "$source" already exists\nHINT:  Take another name, or alter_source/, "$what: it is known to create_source");
	$new->safe_psql($database, "SELECT crm_profile.drop_source('$source')", @as);
	is($new->safe_psql($database, "SELECT count(*) FROM pg_namespace WHERE nspname = '$source'"), '0', "$what: it can be dropped");
	return;
}

# restored(NAME, OWNER, SQL): a database of OWNER's with the extension, and what SQL creates
sub prepared
{
	my ($database, $owner, $sql) = @_;
	$new->safe_psql('postgres', "CREATE DATABASE $database OWNER $owner");
	$new->safe_psql($database, 'CREATE EXTENSION crm_profile');
	$new->safe_psql($database, $sql, extra_params => [ '-U', $owner ]) if $sql;
	return $new->connstr($database);
}

command_ok([ 'pg_dump', '-Fc', '-f', "$files/owned", @owner ], 'by the owner: dumped whole');
command_ok([ 'pg_dump', '-Fd', '-j2', '-f', "$files/owned_directory", @owner ], 'by the owner: dumped in parallel');
command_ok([ 'pg_dump', '-Fc', '-n', 'shop', '-f', "$files/shop_alone", @owner ], 'by the owner: one schema dumped');
command_ok([ 'pg_dump', '-n', 'shop', '-n', 'trade', '-f', "$files/two.sql", @owner ], 'by the owner: two schemas dumped as text');

# as it was, by a superuser
$new->safe_psql('postgres', 'CREATE DATABASE whole OWNER keeper');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $new->connstr('whole'), "$files/owned" ], 'whole: restored');
is(summary($new, 'whole', 'reader', 'shop'), $shown, 'whole: readers read');
works('whole', 'keeper', 'shop', 'whole');
$new->safe_psql('postgres', 'CREATE DATABASE parallel OWNER keeper');
command_ok([ 'pg_restore', '--exit-on-error', '-j2', '-d', $new->connstr('parallel'), "$files/owned_directory" ], 'in parallel: restored');
works('parallel', 'keeper', 'shop', 'in parallel');

# by the owner of an empty database, who is no superuser: the extension comes with the dump, and is theirs
for my $way ([ 'custom', 'owned' ], [ 'directory', 'owned_directory', '-j2' ])
{
	my ($what, $dump, @jobs) = @$way;
	$new->safe_psql('postgres', "CREATE DATABASE handed_on_$what OWNER heir");
	command_ok([ 'pg_restore', '--exit-on-error', '--no-owner', '--no-privileges', @jobs, '-U', 'heir', '-d', $new->connstr("handed_on_$what"), "$files/$dump" ], "other role, $what: restored");
	works("handed_on_$what", 'heir', 'shop', "other role, $what");
}

# where the extension is there already
my $target = prepared('handed_on', 'heir');
system_log('pg_restore', '--no-owner', '--no-privileges', '-U', 'heir', '-d', $target, "$files/owned");
works('handed_on', 'heir', 'shop', 'other role, extension first');

# the source's schema alone, beside existing tables
my $tables = q{
	CREATE SCHEMA trade;
	CREATE TABLE trade.customer (id int PRIMARY KEY, region text);
	INSERT INTO trade.customer SELECT i, 'r' || i % 3 FROM generate_series(1, 60) i;
	CREATE TABLE trade.orders (customer_id int, day text, amount numeric);
	INSERT INTO trade.orders SELECT 1 + i % 41, to_char(date '2025-01-01' + i, 'DD.MM.YYYY'), i % 13 FROM generate_series(1, 300) i};
$target = prepared('beside', 'keeper', $tables);
command_ok([ 'pg_restore', '--exit-on-error', '-U', 'keeper', '-d', $target, "$files/shop_alone" ], 'one schema: restored');
works('beside', 'keeper', 'shop', 'one schema');
command_ok([ 'pg_dump', '-Fc', '-n', 'shop', '-f', "$files/shop_super", '-d', $old->connstr('owned') ], 'by a superuser: one schema dumped');
$target = prepared('beside_super', 'keeper', $tables);
command_ok([ 'pg_restore', '--exit-on-error', '-d', $target, "$files/shop_super" ], 'one schema, by a superuser: restored');
works('beside_super', 'keeper', 'shop', 'one schema, by a superuser');
$target = prepared('inherited', 'heir', $tables);
command_ok([ 'pg_restore', '--exit-on-error', '--no-owner', '--no-privileges', '-U', 'heir', '-d', $target, "$files/shop_alone" ], 'one schema, other role: restored');
$new->safe_psql('inherited', 'ALTER SCHEMA shop RENAME TO "The ""shop"""', extra_params => [ '-U', 'heir' ]);
is($new->safe_psql('inherited', q{SELECT name, owner, warning FROM crm_profile.sources_details}), 'The "shop"|heir|', 'renamed: the source goes with its schema');
is($new->safe_psql('inherited', q{SELECT customers, customers_written FROM crm_profile.refresh('The "shop"')}), '41|0', 'renamed: it is refreshed');
$new->safe_psql('inherited', q{ALTER SCHEMA "The ""shop""" RENAME TO store});
works('inherited', 'heir', 'store', 'one schema, other role, other name');
$target = prepared('as_text', 'keeper');
command_ok([ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-U', 'keeper', '-d', $target, '-f', "$files/two.sql" ], 'two schemas as text: restored');
works('as_text', 'keeper', 'shop', 'two schemas as text');

# handed over in place
$new->safe_psql('postgres', 'CREATE DATABASE given OWNER keeper');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $new->connstr('given'), "$files/owned" ], 'given away: restored');
$new->safe_psql('given', 'REASSIGN OWNED BY keeper TO heir');
works('given', 'heir', 'shop', 'given away');

done_testing();
