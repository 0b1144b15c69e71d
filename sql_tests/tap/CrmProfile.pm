# Shared by the TAP tests of crm_profile
package CrmProfile;

use strict;
use warnings;
use Exporter 'import';
use File::Basename qw(dirname);
use PostgreSQL::Test::RecursiveCopy;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(load_user_data contents schema_of private_extensions);

# load_user_data(NODE, DATABASE): what user_data.sql says, in a new database
sub load_user_data
{
	my ($node, $database) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, slurp_file(dirname(__FILE__) . '/user_data.sql'));
	return;
}

# contents(NODE, DATABASE): all rows of the user's tables and views and of the extension's tables, as text in a fixed order, under their names
sub contents
{
	my ($node, $database) = @_;
	my @relations = split /\n/, $node->safe_psql(
		$database, q{
		SELECT c.oid::regclass FROM pg_class c
		WHERE c.relkind IN ('r', 'p', 'v')
			AND (c.relnamespace = 'app'::regnamespace
				OR c.oid IN (SELECT objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
					WHERE extname = 'crm_profile' AND d.classid = 'pg_class'::regclass AND d.deptype = 'e'))
		ORDER BY c.oid::regclass::text COLLATE "C"});
	return join "\n",
	  map { "$_:\n" . $node->safe_psql($database, qq{SET timezone = 'UTC'; SELECT t::text FROM $_ t ORDER BY t::text COLLATE "C"}) } @relations;
}

# schema_of(NODE, DATABASE): pg_dump's text without what differs from run to run
sub schema_of
{
	my ($node, $database) = @_;
	# time stamps in the rows follow the session's time zone
	local $ENV{PGTZ} = 'UTC';
	my ($dump) = run_command([ 'pg_dump', '-d', $node->connstr($database) ]);
	return join "\n", grep { !/^(--|\\(un)?restrict |$)/ } split /\n/, $dump;
}

# private_extensions(NODE): lets a new node read the extension from a copy of its own, and returns the directory of the control and SQL files in it,
# where a test may change them and put others; undef where the extension is installed for good
sub private_extensions
{
	my ($node) = @_;
	my $copy = PostgreSQL::Test::Utils::tempdir . '/' . $node->name . '_extensions';
	my $share = $node->config_data('--sharedir');
	my $loader = $ENV{TEMP_CONFIG} ? slurp_file($ENV{TEMP_CONFIG}) : '';
	if ($loader =~ /^extension_destdir = '(.+)'$/m)
	{
		PostgreSQL::Test::RecursiveCopy::copypath($1, $copy);
		$node->append_conf('postgresql.conf', "extension_destdir = '$copy'");
	}
	elsif ($loader =~ /^extension_control_path = '([^':]+)/m)
	{
		mkdir $copy;
		PostgreSQL::Test::RecursiveCopy::copypath("$1/extension", "$copy/extension");
		$node->append_conf('postgresql.conf', "extension_control_path = '$copy:\$system'");
		$share = '';
	}
	else { return undef; }
	return "$copy$share/extension";
}

1;
