# CREATE EXTENSION refuses a schema that somebody else has prepared for it
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('server');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE thief LOGIN; CREATE DATABASE shop; GRANT CREATE ON DATABASE shop TO thief');

# refused(WHAT, MESSAGE): the extension is not created, and the error says why
sub refused
{
	my ($what, $message) = @_;
	my ($status, $out, $err) = $node->psql('shop', 'CREATE EXTENSION crm_profile');
	like($err, $message, "$what: refused");
	is($node->safe_psql('shop', q{SELECT count(*) FROM pg_extension WHERE extname = 'crm_profile'}), '0', "$what: nothing is made");
	return;
}

$node->safe_psql('shop', q{CREATE SCHEMA crm_profile;
	CREATE FUNCTION crm_profile.check_scheme(name text) RETURNS boolean LANGUAGE sql AS 'SELECT true'}, extra_params => [ '-U', 'thief' ]);
refused('schema of somebody else', qr/schema "crm_profile" already exists and belongs to thief/);
$node->safe_psql('shop', 'ALTER SCHEMA crm_profile OWNER TO CURRENT_USER');
refused('function of somebody else', qr/schema "crm_profile" already exists.*HINT:  Find out what it is for, and rename or drop it/s);
$node->safe_psql('shop', 'DROP SCHEMA crm_profile CASCADE');
$node->safe_psql('shop', 'CREATE SCHEMA crm_profile_internal', extra_params => [ '-U', 'thief' ]);
refused('the other schema', qr/schema "crm_profile_internal" already exists/);
$node->safe_psql('shop', 'DROP SCHEMA crm_profile_internal');
# the script must be read under any settings
my ($status, $out, $err) = $node->psql('shop', 'SET standard_conforming_strings = off; CREATE EXTENSION crm_profile');
like($err, qr/SET standard_conforming_strings = on first/, 'strings that are no standard: refused');
$node->safe_psql('shop', 'CREATE EXTENSION crm_profile');
is($node->safe_psql('shop', q{SELECT crm_profile.lifecycle('{2025-04-29: 1}', '2025-04-30', 30)}), 'new', 'without them it is there');
# no schema of it can go without it, and dropping public does not take it along
($status, $out, $err) = $node->psql('shop', 'DROP SCHEMA crm_profile CASCADE');
like($err, qr/cannot drop schema crm_profile because extension crm_profile requires it/, 'the schema stays');
$node->safe_psql('shop', 'DROP SCHEMA public CASCADE; CREATE SCHEMA public');
is($node->safe_psql('shop', q{SELECT count(*) FROM pg_extension WHERE extname = 'crm_profile'}), '1', 'the extension is not in public');
# and in a database without an encoding, which the locale C gives
$node->safe_psql('postgres', q{CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0});
is($node->safe_psql('ascii', q{CREATE EXTENSION crm_profile; SELECT encode(text::bytea, 'hex') FROM crm_profile.translation WHERE (key, language) = ('number.group', 'fr')}),
	'e280af', 'SQL_ASCII');

done_testing();
