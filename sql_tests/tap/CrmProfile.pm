# Shared by the TAP tests of crm_profile
package CrmProfile;

use strict;
use warnings;
use Exporter 'import';
use File::Basename qw(dirname);
use PostgreSQL::Test::Utils;

our @EXPORT = qw(load_user_data contents schema_of);

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

1;
