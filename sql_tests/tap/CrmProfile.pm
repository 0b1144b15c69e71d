# Shared by the TAP tests of crm_profile
package CrmProfile;

use strict;
use warnings;
use Exporter 'import';
use File::Basename qw(dirname);
use IPC::Run;
use PostgreSQL::Test::RecursiveCopy;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep);

our @EXPORT = qw(load_user_data contents schema_of private_extensions write_forever start running kill_server settled);

# load_user_data(NODE, DATABASE): what user_data.sql says, in a new database
sub load_user_data
{
	my ($node, $database) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, slurp_file(dirname(__FILE__) . '/user_data.sql'));
	return;
}

# contents(NODE, DATABASE): all rows of the user's tables and views and of the extension's tables, as text in a fixed order, each under its name
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

# schema_of(NODE, DATABASE): pg_dump's text without the lines that differ from run to run
sub schema_of
{
	my ($node, $database) = @_;
	# time stamps in the rows follow the session's time zone
	local $ENV{PGTZ} = 'UTC';
	my ($dump) = run_command([ 'pg_dump', '-d', $node->connstr($database) ]);
	return join "\n", grep { !/^(--|\\(un)?restrict |$)/ } split /\n/, $dump;
}

# private_extensions(NODE): makes a new node read the extension from its own copy, and returns the directory of the control and SQL files in it,
# where a test may change them and add others; undef where the extension is installed for good
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

# write_forever(SEED, STEPS): the statements of a writer of orders, which keeps changing some rows of some customers, with savepoints that are
# rolled back, and whole transactions as well
sub write_forever
{
	my ($seed, $steps) = @_;
	return "SELECT setseed($seed)", qq{DO \$\$
	DECLARE
		action int;
		customer orders.customer_id%TYPE;
	BEGIN
		FOR step IN 1 .. $steps LOOP
			BEGIN
				FOR part IN 1 .. 1 + floor(random() * 3)::int LOOP
					action := floor(random() * 8);
					customer := NULLIF(floor(random() * 100), 0);
					BEGIN
						IF action < 3 THEN
							INSERT INTO orders (customer_id, day, amount) SELECT customer, date '2024-01-01' + floor(random() * 700)::int, round((random() * 100 - 10)::numeric, 2) FROM generate_series(1, 3);
						ELSIF action = 3 THEN
							DELETE FROM orders WHERE customer_id IS NOT DISTINCT FROM customer AND random() < 0.5;
						ELSIF action = 4 THEN
							UPDATE orders SET customer_id = 1 + floor(random() * 100) WHERE customer_id = customer AND random() < 0.3;
						ELSIF action = 5 THEN
							UPDATE orders SET day = CASE WHEN day < '2025-01-01' THEN day + 366 ELSE day - 366 END WHERE customer_id = customer AND random() < 0.3 AND day BETWEEN '2024-01-01' AND '2025-12-01' AND (day - 366 >= '2024-01-01' OR day < '2025-01-01') AND (day + 366 < '2026-01-01' OR day >= '2025-01-01');
						ELSIF action = 6 THEN
							UPDATE orders SET amount = amount + 1 WHERE customer_id = customer;
						ELSE
							INSERT INTO orders_25 (customer_id, day, amount) VALUES (customer, date '2025-01-01' + floor(random() * 300)::int, 7);
						END IF;
						IF random() < 0.2 THEN
							RAISE EXCEPTION USING ERRCODE = 'P0001';
						END IF;
					EXCEPTION WHEN raise_exception THEN
						NULL;
					END;
				END LOOP;
			EXCEPTION WHEN deadlock_detected OR serialization_failure THEN
				NULL;
			END;
			IF random() < 0.1 THEN ROLLBACK; ELSE COMMIT; END IF;
		END LOOP;
	END \$\$};
}

# start(NODE, DATABASE, STATEMENT…): a psql in the background, which first prints the number of its server process
my @started;
sub start
{
	my ($node, $database, @statements) = @_;
	my $out = '';
	my $run = IPC::Run::start(
		[ 'psql', '-XqAt', '-d', $node->connstr($database), '-c', 'SELECT pg_backend_pid()', map { ('-c', $_) } @statements ],
		'<', \undef, '>', \$out, '2>', '/dev/null');
	push @started, { run => $run, out => \$out };
	return $started[-1];
}

# running(): those that have not ended
sub running
{
	$_->{run}->pump_nb for grep { $_->{run}->pumpable } @started;
	return grep { $_->{run}->pumpable } @started;
}

# kill_server(NODE): kills the server within the next second through the process of one of them, and waits until all have
# ended and the server is back; false if no process is known yet
sub kill_server
{
	my ($node) = @_;
	usleep(200_000 + rand 800_000);
	running();
	my ($pid) = ${ $started[rand @started]{out} } =~ /^(\d+)/ or return 0;
	PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', 'KILL', $pid);
	settled();
	for (1 .. 100)
	{
		# psql may end before it gets its query
		return 1 if eval { $node->poll_query_until('postgres', 'SELECT true') };
		usleep(100_000);
	}
	die 'the server did not come back';
}

# settled(): waits until all have ended
sub settled
{
	$_->{run}->finish for @started;
	@started = ();
	return;
}

1;
