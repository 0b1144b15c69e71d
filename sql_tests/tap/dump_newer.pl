# Into each newer PostgreSQL installed with its headers: all rows are the same, sources refresh and show the same as before. A plain dump by a
# superuser, by the old programs and by the new ones; one in a directory, by an owner who is none, into a database of theirs, with two jobs; and
# pg_upgrade of the whole server
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

# what is run in an upgraded server: the files, and a refresh before the second
my $refreshed = "-c \"SET client_min_messages = error\" -c \"SELECT customers_written, customers_removed FROM crm_profile.refresh('app') UNION ALL SELECT customers_written, customers_removed FROM crm_profile.refresh('tracked')\" -f $files/shown.sql";
my $refreshed_by_owner = "-c \"SET client_min_messages = error\" -c \"SELECT customers_written, customers_removed FROM crm_profile.refresh('own')\" -c \"$summary\"";
my $superuser = $old->safe_psql('postgres', 'SELECT current_user');
my %server;
for my $pg_config (@newer)
{
	my $version = major($pg_config);
	my $tree = "$files/tree$version";
	system("mkdir $tree && cd '$ENV{SOURCE_TREE}' && cp -r Makefile crm_profile.control META.json src sql tools $tree && cd $tree && chmod -R u+w . && find . -name '*.[od]' -o -name '*.bc' -o -name '*.so' | xargs rm -f") == 0 or die "no copy of the sources\n";
	command_ok([ 'make', '-C', $tree, '-s', "PG_CONFIG=$pg_config", 'with_llvm=no' ], "$version: built") or next;
	my @server = ('env', "PG_CONFIG=$pg_config", "$tree/tools/with-cluster", 'sh', '-c');
	$server{$pg_config} = \@server;
	my $ask = join(' ', @psql) . ' -d shop';
	my $quiet = ">$files/log$version 2>&1 || { tail -n 5 $files/log$version; exit 1; }";
	for my $way ([ 'a plain dump', "psql -X -q -v ON_ERROR_STOP=1 -d shop -f $files/shop.sql $quiet" ], [ 'a dump by the new programs', "pg_dump -h " . $old->host . ' -p ' . $old->port . " -U $superuser -f $files/new$version.sql shop && psql -X -q -v ON_ERROR_STOP=1 -d shop -f $files/new$version.sql $quiet" ])
	{
		my ($what, $restore) = @$way;
		my ($after) = run_command([ @server, "createdb shop && $restore; $ask -f $files/contents.sql; $ask $refreshed" ]);
		is($after, "${contents}\n0|0\n0|0\n$before", "$version, $what: the same rows, a refresh finds nothing that differs, and the views show the same");
	}
	my $restored = "psql -X -q -d postgres -c 'CREATE ROLE keeper LOGIN' && createdb -O keeper owned && pg_restore --exit-on-error -j2 -U keeper -d owned $files/owned";
	my ($after) = run_command([ @server, "$restored && @psql -U keeper -d owned -c \"$summary\" && @psql -U keeper -d owned $refreshed_by_owner" ]);
	is($after, "$owned\n0|0\n$owned", "$version, a directory: restored by the owner, with two jobs, who refreshes it");
}

$old->stop;
for my $pg_config (grep { $server{$_} } @newer)
{
	my $version = major($pg_config);
	my ($libraries) = run_command([ $pg_config, '--pkglibdir' ]);
  SKIP:
	{
		# from 18 on it loads $libdir/crm_profile, wherever the throwaway installation is
		skip "$version: pg_upgrade finds only libraries that are installed for good", 2 if $version >= 18 && !-e "$libraries/crm_profile.so";
		my $to = "$files/upgraded$version";
		my $checksums = $version >= 18 ? '--no-data-checksums' : '';
		my ($old_data, $old_programs, $old_port) = ($old->data_dir, $old->config_data('--bindir'), $old->port);
		my $programs = "\$(\$PG_CONFIG --bindir)";
		my $prepared = "mkdir -p $to/run && cd $to/run && initdb -D $to/data -U $superuser -A trust --no-sync $checksums >log && cat \$TEMP_CONFIG >>$to/data/postgresql.conf";
		my $upgraded = "pg_upgrade --no-sync -U $superuser -d $old_data -D $to/data -b $old_programs -B $programs -s $to/run -p $old_port -P 5439 >log 2>&1 || { cat log $to/data/pg_upgrade_output.d/*/*.txt; exit 1; }";
		my $started = "pg_ctl -D $to/data -l $to/run/server.log -w -s -o \"-p 5439 -k $to/run -c listen_addresses=\" start && export PGHOST=$to/run PGPORT=5439 PGUSER=$superuser";
		my ($after) = run_command([ @{ $server{$pg_config} }, "$prepared && { $upgraded; } && $started && { @psql -d shop -f $files/contents.sql; @psql -d shop $refreshed; @psql -U keeper -d owned $refreshed_by_owner; pg_ctl -D $to/data -s -m fast stop; }" ]);
		is($after, "${contents}\n0|0\n0|0\n$before\n0|0\n$owned", "$version, pg_upgrade: the same rows, and the same after a refresh");
	}
}
done_testing();
