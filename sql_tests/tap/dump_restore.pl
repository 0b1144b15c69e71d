# pg_dump and pg_restore carry a database with the extension to another server, and what comes out dumps to the same text again
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

load_user_data($old, 'shop');
my $contents = contents($old, 'shop');
like($contents, qr/^app\.history:\n\(/m, 'there is something to lose');

my $file = PostgreSQL::Test::Utils::tempdir . '/shop.dump';
command_ok([ 'pg_dump', '-Fc', '-f', $file, '-d', $old->connstr('shop') ], 'dumped');
$new->safe_psql('postgres', 'CREATE DATABASE shop');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $new->connstr('shop'), $file ], 'restored');

# Dates inside rows follow the session's style: the same session settings for both
$new->safe_psql('postgres', "ALTER DATABASE shop SET datestyle = 'ISO, MDY'");
is(contents($new, 'shop'), $contents, 'the same rows');
$new->safe_psql('postgres', 'ALTER DATABASE shop RESET datestyle');
is(schema_of($new, 'shop'), schema_of($old, 'shop'), 'the same dump');

# Everything that the extension brings goes with it
$new->safe_psql('shop', 'DROP SCHEMA app CASCADE; DROP EXTENSION crm_profile');
is($new->safe_psql('shop', "SELECT count(*) FROM pg_proc WHERE probin LIKE '%crm_profile%'"), '0', 'dropped without a trace');
$new->safe_psql('shop', 'CREATE EXTENSION crm_profile');

done_testing();
