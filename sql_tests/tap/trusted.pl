# An owner of a database who is no superuser installs the extension and uses it, and gains nothing that is not theirs
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('server');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE shopkeeper LOGIN; CREATE ROLE clerk LOGIN; CREATE DATABASE shop OWNER shopkeeper');
my @as_owner = (extra_params => [ '-U', 'shopkeeper' ]);
my @as_clerk = (extra_params => [ '-U', 'clerk' ]);

# refused(ROLE, SQL, MESSAGE, WHAT)
sub refused
{
	my ($role, $sql, $message, $what) = @_;
	my ($status, $out, $err) = $node->psql('shop', $sql, extra_params => [ '-U', $role ]);
	like($err, $message, $what);
	return;
}

refused('clerk', 'CREATE EXTENSION crm_profile', qr/permission denied to create extension/, 'somebody without CREATE on the database: refused');
$node->safe_psql('shop', 'CREATE EXTENSION crm_profile', @as_owner);
is($node->safe_psql('shop', q{SELECT count(*), bool_and(rolsuper) FROM pg_namespace JOIN pg_roles r ON r.oid = nspowner WHERE nspname LIKE 'crm_profile%'}), '2|t', 'the schemas are not the installer\'s');
is($node->safe_psql('shop', q{SELECT count(*) FROM pg_proc p WHERE pronamespace IN ('crm_profile'::regnamespace, 'crm_profile_internal'::regnamespace) AND pg_get_userbyid(proowner) = 'shopkeeper'}), '0', 'nor any function');
refused('shopkeeper', 'CREATE FUNCTION crm_profile.frequency(text) RETURNS text LANGUAGE sql AS $$SELECT $1$$', qr/permission denied for schema crm_profile/, 'nothing can be planted beside them');
refused('shopkeeper', 'ALTER SCHEMA crm_profile OWNER TO shopkeeper', qr/must be owner of schema/, 'nor is the schema to be had back');
refused('shopkeeper', 'ALTER EXTENSION crm_profile DROP FUNCTION crm_profile.segment_label(text, text)', qr/must be owner of function/, 'nor can a function be taken out');

# what the owner needs
$node->safe_psql('shop', q{
	CREATE TABLE customers (id int PRIMARY KEY);
	CREATE TABLE orders (customer_id int REFERENCES customers, ordered_at date, amount numeric);
	INSERT INTO customers SELECT generate_series(1, 100);
	INSERT INTO orders SELECT 1 + i % 97, date '2024-01-01' + i % 500, i FROM generate_series(1, 1000) i;
	INSERT INTO crm_profile.scheme VALUES ('mine', 5, 'of my own');
	INSERT INTO crm_profile.scheme_rule (scheme, segment) VALUES ('mine', 'everybody');
	INSERT INTO crm_profile.translation (key, language, text) VALUES ('segment.everybody', 'de', 'alle');
	SELECT crm_profile.create_source('s', 'customers', 'orders', scheme => 'mine', track_changes => 'keys', as_of => '2025-06-01');
	SELECT crm_profile.refresh('s');}, @as_owner);
is($node->safe_psql('shop', q{SELECT crm_profile.segment_label(segment, 'de'), count(*) FROM s.customer_profile WHERE segment IS NOT NULL GROUP BY 1}, @as_owner), 'alle|97', 'sources, schemes and words of the owner work');
refused('shopkeeper', q{DELETE FROM crm_profile.scheme WHERE name = 'standard'}, qr/is built in and cannot be changed/, 'the built-in schemes stay');
refused('clerk', q{INSERT INTO crm_profile.scheme VALUES ('clerk')}, qr/permission denied for table scheme/, 'others may read schemes only');

# a dump by the owner is restored by the owner into an empty database: the extension comes with it
$node->safe_psql('postgres', 'CREATE DATABASE copy OWNER shopkeeper');
command_ok([ 'pg_dump', '-U', 'shopkeeper', '-d', $node->connstr('shop'), '-Fc', '-f', "$PostgreSQL::Test::Utils::tmp_check/shop.dump" ], 'the owner can dump');
command_ok([ 'pg_restore', '--exit-on-error', '-U', 'shopkeeper', '-d', $node->connstr('copy'), "$PostgreSQL::Test::Utils::tmp_check/shop.dump" ], 'and restore');
is($node->safe_psql('copy', q{SELECT segment, count(*) FROM s.customer_profile WHERE segment IS NOT NULL GROUP BY 1}, @as_owner), 'everybody|97', 'everything is there');
$node->safe_psql('copy', 'CREATE FUNCTION public.frequency(text) RETURNS text LANGUAGE sql AS $$SELECT $1$$', @as_owner);
my ($copy_status, $copy_out, $copy_err) = $node->psql('copy', 'ALTER FUNCTION public.frequency(text) SET SCHEMA crm_profile', @as_owner);
like($copy_err, qr/permission denied for schema crm_profile/, 'with the same protection');
$node->safe_psql('postgres', 'CREATE DATABASE third OWNER shopkeeper');
$node->safe_psql('third', 'CREATE SCHEMA crm_profile', @as_owner);
like(($node->psql('third', 'CREATE EXTENSION crm_profile', @as_owner))[2], qr/already exists and belongs to shopkeeper/, 'a schema that was there before could have been made ready: refused');
# nor do default privileges open the schemas, the owner's or those of a superuser who installs it
for my $role (\@as_owner, [])
{
	$node->safe_psql('postgres', 'DROP DATABASE IF EXISTS fourth');
	$node->safe_psql('postgres', 'CREATE DATABASE fourth OWNER shopkeeper');
	$node->safe_psql('fourth', 'ALTER DEFAULT PRIVILEGES GRANT CREATE ON SCHEMAS TO clerk, PUBLIC; CREATE EXTENSION crm_profile', @$role);
	is($node->safe_psql('fourth', q{SELECT count(*) FROM pg_namespace n, aclexplode(n.nspacl) a WHERE nspname LIKE 'crm_profile%' AND privilege_type = 'CREATE' AND grantee <> nspowner}), '0', 'nobody else may create: ' . (@$role ? 'the owner' : 'a superuser'));
}
$node->safe_psql('shop', q{SELECT crm_profile.drop_source('s'); DROP EXTENSION crm_profile}, @as_owner);
is($node->safe_psql('shop', q{SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'crm_profile%'}), '0', 'the owner can drop it, and nothing is left');

done_testing();
