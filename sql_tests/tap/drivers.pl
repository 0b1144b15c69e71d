# The views of a source through psqlODBC and pgJDBC: every column has a type that a BI tool knows, short texts are not long ones, all rows arrive
use strict;
use warnings;
use CrmProfile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($odbc) = grep { -e } glob '/usr/lib/*/odbc/psqlodbcw.so /usr/lib*/psqlodbcw.so';
my ($jar) = grep { -e } glob '/usr/share/java/postgresql.jar';
$odbc = undef if !eval { require DBD::ODBC; 1 };
$jar = undef if system('java --version >/dev/null 2>&1') != 0;
plan skip_all => 'neither psqlODBC with DBD::ODBC nor pgJDBC with java is here' if !$odbc && !$jar;

# pgJDBC cannot use Unix sockets
my $node = PostgreSQL::Test::Cluster->new('shop');
$node->init;
$node->append_conf('postgresql.conf', "listen_addresses = '127.0.0.1'");
$node->start;
load_user_data($node, 'shop');
# what readers use: not sealed models
my @views = grep { !/_model$/ } split /\n/, $node->safe_psql('shop', "SELECT relname FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind = 'v' AND pg_get_viewdef(oid) ~ 'app\\.(model|customer_history|finding|stored_profile)' ORDER BY 1");
ok((grep { $_ eq 'customer_profile' } @views) && @views > 8, 'there are views');
my $long = qr/^(advice|argument|strategy|value|note|reasons|in_words)$/;

SKIP:
{
	skip 'no psqlODBC', 1 if !$odbc;
	# by their ODBC numbers
	my %known = (4 => 'integer', -5 => 'bigint', 2 => 'numeric', 6 => 'float', 8 => 'double', 12 => 'varchar', 91 => 'date', 93 => 'timestamp', -1 => 'long varchar');
	my $connection = DBI->connect("dbi:ODBC:Driver=$odbc;Servername=" . $node->host . ';Port=' . $node->port . ';Database=shop;Username=' . getpwuid($<), undef, undef, { RaiseError => 1, PrintError => 0, LongReadLen => 100000 });
	for my $view (@views)
	{
		my $query = $connection->prepare("SELECT * FROM app.$view");
		$query->execute;
		my @odd = grep { my ($name, $type) = ($query->{NAME}[$_], $known{ $query->{TYPE}[$_] } // ''); !$type || $type eq 'long varchar' && $name !~ $long && $name ne 'customer' } 0 .. $#{ $query->{NAME} };
		is(join(', ', map { "$query->{NAME}[$_] $query->{TYPE}[$_]" } @odd), '', "ODBC, $view: types");
		is(scalar(@{ $query->fetchall_arrayref }), $node->safe_psql('shop', "SELECT count(*) FROM app.$view"), "ODBC, $view: rows");
	}
	$connection->disconnect;
}

SKIP:
{
	skip 'no pgJDBC', 1 if !$jar;
	my $program = PostgreSQL::Test::Utils::tempdir . '/Columns.java';
	append_to_file($program, q{
import java.sql.*;
class Columns {
	public static void main(String[] a) throws Exception {
		try (Connection c = DriverManager.getConnection(a[0])) {
			for (int v = 1; v < a.length; v++) {
				ResultSet t = c.getMetaData().getTables(null, "app", a[v], null);
				while (t.next()) if (t.getString("REMARKS") == null) System.out.println(a[v] + " without comment");
				ResultSet r = c.getMetaData().getColumns(null, "app", a[v], null);
				while (r.next()) {
					System.out.println(a[v] + " " + r.getString("COLUMN_NAME") + " " + JDBCType.valueOf(r.getInt("DATA_TYPE")));
					if (r.getString("REMARKS") == null) System.out.println(a[v] + "." + r.getString("COLUMN_NAME") + " without comment");
				}
				r = c.createStatement().executeQuery("SELECT * FROM app." + a[v]);
				int rows = 0;
				while (r.next()) { rows++; for (int i = 1; i <= r.getMetaData().getColumnCount(); i++) r.getObject(i); }
				System.out.println(a[v] + ": " + rows);
			}
		}
	}
}
});
	my ($out) = run_command([ 'java', '-cp', $jar, $program, 'jdbc:postgresql://127.0.0.1:' . $node->port . '/shop?user=' . getpwuid($<), @views ]);
	my @lines = split /\n/, $out;
	is(join(', ', grep { !/ (INTEGER|BIGINT|NUMERIC|DOUBLE|VARCHAR|DATE|TIMESTAMP|BIT|ARRAY)$/ && !/: \d+$/ && !/ without comment$/ } @lines), '', 'JDBC: types');
	is(join(', ', grep { / without comment$/ } @lines), '', 'JDBC: comments on every view and column');
	is(join(', ', grep { /: / } @lines), join(', ', map { "$_: " . $node->safe_psql('shop', "SELECT count(*) FROM app.$_") } @views), 'JDBC: rows');
}
$node->stop;
done_testing();
