# pg_upgrade, to the same version, since there is no other here: the stored bytes are carried over unchanged
use strict;
use warnings;
use CrmProfile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = PostgreSQL::Test::Cluster->new('old');
# From 18 on it loads $libdir/crm_profile, wherever the throwaway installation is
plan skip_all => 'pg_upgrade finds only libraries that are installed for good'
  if $old->pg_version >= 18 && !-e $old->config_data('--pkglibdir') . '/crm_profile.so';
$old->init;
$old->start;
load_user_data($old, 'shop');
my $contents = contents($old, 'shop');
my $schema = schema_of($old, 'shop');
my $bindir = $old->config_data('--bindir');
$old->stop;

my $new = PostgreSQL::Test::Cluster->new('new');
$new->init;

# It writes into the directory in which it is started
chdir PostgreSQL::Test::Utils::tempdir;
command_ok(
	[
		'pg_upgrade', '--no-sync',
		'-d', $old->data_dir, '-D', $new->data_dir,
		'-b', $bindir, '-B', $bindir,
		'-s', $new->host, '-p', $old->port, '-P', $new->port
	],
	'pg_upgrade');
$new->start;
is(contents($new, 'shop'), $contents, 'the same rows');
is(schema_of($new, 'shop'), $schema, 'the same dump');

# The upgraded index finds the upgraded values
is( $new->safe_psql(
		'shop', 'SET search_path = crm_profile; SET enable_seqscan = off;
		SELECT count(*) = (SELECT count(*) FROM app.history) FROM app.history h
		WHERE EXISTS (SELECT FROM app.history g WHERE g.history = h.history OFFSET 0)'),
	't',
	'found through the index');

done_testing();
