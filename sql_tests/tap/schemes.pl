# A user's schemes, the rights to edit them and compiled schemes survive dump and restore; the built-in schemes come from the extension, once
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('schemes');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE analyst; CREATE DATABASE old; CREATE DATABASE new');
$node->safe_psql('old', q{
	CREATE EXTENSION crm_profile;
	INSERT INTO crm_profile.scheme (name, bins, description) VALUES ('mine', 3, 'my own');
	INSERT INTO crm_profile.scheme_rule (scheme, segment, r_from, r_to) VALUES ('mine', 'Awake', 2, NULL), ('mine', 'Asleep', NULL, 1);
	INSERT INTO crm_profile.scheme_rule (scheme, segment, cells, strategy) VALUES ('mine', 'Odd', '{111,333}', 'look at them');
	GRANT INSERT ON crm_profile.scheme TO analyst;
	CREATE TABLE compiled AS SELECT crm_profile.compile_scheme('mine') AS scheme;
	CREATE VIEW label AS SELECT crm_profile.segment('121/3', scheme) FROM compiled;});

my $contents = q{
	SELECT s::text FROM crm_profile.scheme s ORDER BY 1; SELECT r::text FROM crm_profile.scheme_rule r ORDER BY 1;
	TABLE compiled; TABLE label; SELECT has_table_privilege('analyst', 'crm_profile.scheme', 'INSERT')};
my $before = $node->safe_psql('old', $contents);
like($before, qr/^\(mine,3,"my own",f\)$/m, 'there is something to lose');

my ($dump) = run_command([ 'pg_dump', '-d', $node->connstr('old') ]);
unlike($dump, qr/Champions/, 'built-in rules are not dumped');
$node->psql('new', $dump, on_error_stop => 1, on_error_die => 1);
is($node->safe_psql('new', $contents), $before, 'restored the same');

my ($data) = run_command([ 'pg_dump', '--data-only', '-t', 'crm_profile.scheme*', '-d', $node->connstr('old') ]);
like($data, qr/^mine\t3\t/m, 'a dump of the tables alone holds the schemes of the user');
unlike($data, qr/^(standard|rf|r-package)\t/m, 'and not the built-in ones');

my ($rc, $out, $err) = $node->psql('new', "DELETE FROM crm_profile.scheme WHERE name = 'standard'");
like($err, qr/scheme "standard" is built in/, 'guarded as before');

done_testing();
