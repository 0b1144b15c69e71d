# Dumps are restored into each newer PostgreSQL installed with its headers: all rows are the same, sources refresh and show the same as before. A
# plain dump by a superuser, and one in a directory, by an owner who is none, into a database of theirs, with two jobs
use strict;
use warnings;
use CrmProfile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# major(PG_CONFIG): its version
sub major
{
	my ($version) = run_command([ $_[0], '--version' ]);
	return $version =~ /PostgreSQL (\d+)/ ? $1 : 0;
}

my $own = major($ENV{PG_CONFIG} // 'pg_config');
my @newer = grep {
	my ($headers) = run_command([ $_, '--includedir-server' ]);
	major($_) > $own && -f "$headers/postgres.h"
} $ENV{NEWER_PG_CONFIG} ? split(/:/, $ENV{NEWER_PG_CONFIG}) : glob '/usr/lib/postgresql/*/bin/pg_config';
plan skip_all => 'no newer PostgreSQL with its headers is here' if !@newer;
plan skip_all => 'the source tree is not here' if !$ENV{SOURCE_TREE};

my $old = PostgreSQL::Test::Cluster->new('old');
$old->init;
$old->start;
my $files = PostgreSQL::Test::Utils::tempdir;
load_user_data($old, 'shop');
# what prospect_match uses, in a user's table; and a source that tracks changes
$old->safe_psql('shop', q{
	CREATE TABLE app.kept_models AS SELECT * FROM app.prospect_model;
	CREATE SCHEMA trade;
	CREATE TABLE trade.customer (id int PRIMARY KEY, region text);
	INSERT INTO trade.customer SELECT i, 'r' || i % 3 FROM generate_series(1, 60) i;
	CREATE TABLE trade.orders (customer_id int, day date, amount numeric);
	INSERT INTO trade.orders SELECT 1 + i % 41, date '2025-01-01' + i, i % 13 FROM generate_series(1, 300) i;
	SELECT crm_profile.create_source('tracked', 'trade.customer', 'trade.orders', order_customer => 'customer_id', as_of => '2025-10-29', track_changes => 'keys');
	SELECT crm_profile.refresh('tracked')});
my @relations = grep { !/prospect_model$/ } split /\n/, $old->safe_psql('shop', q{
	SELECT c.oid::regclass FROM pg_class c WHERE c.relkind IN ('r', 'v') AND c.relnamespace::regnamespace::text IN ('app', 'tracked', 'crm_profile') AND c.relname NOT IN ('sources', 'change_queue')
	ORDER BY c.oid::regclass::text COLLATE "C"});
my $everything = join '', map { "SELECT '$_'; SELECT t::text FROM $_ t ORDER BY t::text COLLATE \"C\";\n" } @relations;
my $shown = join '', map { "SELECT t::text FROM $_ t ORDER BY t::text COLLATE \"C\";\n" } map { ("$_.customer_profile", "$_.segment_summary", "$_.purchase_calendar") } qw(app tracked);
append_to_file("$files/contents.sql", "SET timezone = 'UTC';\n$everything");
append_to_file("$files/shown.sql", "SET timezone = 'UTC';\n$shown");
my @psql = ('psql', '-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1');
my ($contents) = run_command([ @psql, '-d', $old->connstr('shop'), '-f', "$files/contents.sql" ]);
my ($before) = run_command([ @psql, '-d', $old->connstr('shop'), '-f', "$files/shown.sql" ]);
like($contents, qr/\(sealed\)/, 'there is something to lose');
command_ok([ 'pg_dump', '-f', "$files/shop.sql", '-d', $old->connstr('shop') ], 'dumped');

$old->safe_psql('postgres', 'CREATE ROLE keeper LOGIN; CREATE DATABASE owned OWNER keeper');
my @keeper = ('-U', 'keeper', '-d', $old->connstr('owned'));
$old->safe_psql('owned', q{
	CREATE EXTENSION crm_profile;
	CREATE TABLE customer (id int PRIMARY KEY, region text);
	INSERT INTO customer SELECT i, 'r' || i % 3 FROM generate_series(1, 60) i;
	CREATE TABLE orders (customer_id int, day date, amount numeric);
	INSERT INTO orders SELECT 1 + i % 41, date '2025-01-01' + i, i % 13 FROM generate_series(1, 300) i;
	SELECT crm_profile.create_source('own', 'customer', 'orders', as_of => '2025-10-29', attributes => '{region}', materialize => true, track_changes => 'keys');
	SELECT crm_profile.refresh('own')}, extra_params => [ '-U', 'keeper' ]);
my $summary = 'SELECT segment, customers, monetary FROM own.segment_summary; SELECT count(*), sum(monetary) FROM own.customer_profile';
my $owned = $old->safe_psql('owned', $summary, extra_params => [ '-U', 'keeper' ]);
command_ok([ 'pg_dump', '-Fd', '-j2', '-f', "$files/owned", @keeper ], 'dumped by the owner');
system("chmod -R a+rX $files");

for my $pg_config (@newer)
{
	my $version = major($pg_config);
	my $tree = "$files/tree$version";
	system("mkdir $tree && cd '$ENV{SOURCE_TREE}' && cp -r Makefile crm_profile.control META.json src sql tools $tree && cd $tree && find . -name '*.[od]' -o -name '*.bc' -o -name '*.so' | xargs rm -f") == 0 or die "no copy of the sources\n";
	command_ok([ 'make', '-C', $tree, '-s', "PG_CONFIG=$pg_config", 'with_llvm=no' ], "$version: built");
	my @server = ('env', "PG_CONFIG=$pg_config", "$tree/tools/with-cluster", 'sh', '-c');
	my $restored = "createdb shop && psql -X -q -v ON_ERROR_STOP=1 -d shop -f $files/shop.sql >$files/log$version 2>&1 || { tail -n 5 $files/log$version; exit 1; }";
	my $ask = join(' ', @psql) . ' -d shop';
	my ($after) = run_command([ @server, "$restored; $ask -f $files/contents.sql" ]);
	is($after, $contents, "$version: the same rows");
	($after) = run_command([ @server, "$restored; $ask -c \"SET client_min_messages = error\" -c \"SELECT customers_written, customers_removed FROM crm_profile.refresh('app') UNION ALL SELECT customers_written, customers_removed FROM crm_profile.refresh('tracked')\" -f $files/shown.sql" ]);
	is($after, "0|0\n0|0\n$before", "$version: a refresh finds nothing that differs, and the views show the same");
	$restored = "psql -X -q -d postgres -c 'CREATE ROLE keeper LOGIN' && createdb -O keeper owned && pg_restore --exit-on-error -j2 -U keeper -d owned $files/owned";
	($after) = run_command([ @server, "$restored && @psql -U keeper -d owned -c \"$summary\"" ]);
	is($after, $owned, "$version: restored by the owner, with two jobs");
	($after) = run_command([ @server, "$restored && @psql -U keeper -d owned -c \"SET client_min_messages = error\" -c \"SELECT customers_written, customers_removed FROM crm_profile.refresh('own')\" -c \"$summary\"" ]);
	is($after, "0|0\n$owned", "$version: the owner refreshes it");
}
done_testing();
