# Rules of arules' Groceries as published: 9 835 baskets, a line each, products between commas. The data are not part of the project:
# GROCERIES=…/groceries_baskets.csv.gz says where they are, packed by gzip.
use strict;
use warnings;
use CrmProfile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $file = $ENV{GROCERIES};
plan skip_all => 'GROCERIES does not say where the data are' if !$file;
die "$file is missing" if !-e $file;
my $node = PostgreSQL::Test::Cluster->new('shop');
$node->init;
$node->append_conf('postgresql.conf', "client_min_messages = error\n");
$node->start;
sub sql { return $node->safe_psql('postgres', $_[0]) }

sql('CREATE EXTENSION crm_profile; CREATE TABLE baskets (n serial, products text)');
sql(qq{COPY baskets (products) FROM PROGRAM 'gzip -dc "$file"' (DELIMITER E'\\x01')});
is(sql('SELECT count(*) FROM baskets'), 9835, 'baskets');
sub rule
{
	return sql("SELECT round(support::numeric, 9), round(confidence::numeric, 7), round(lift::numeric, $_[2])
		FROM crm_profile.basket_rules('SELECT n, unnest(string_to_array(products, '','')) FROM baskets', 0.001, 2) WHERE left_side \@> $_[0] AND left_side <\@ $_[0] AND right_side = $_[1]");
}
is(rule("'{Instant food products, soda}'", "'hamburger meat'", 5), '0.001220132|0.6315789|18.99565', 'instant food products and soda, then hamburger meat');
is(rule("'{soda, popcorn}'", "'salty snack'", 5), '0.001220132|0.6315789|16.69779', 'soda and popcorn, then salty snack');
is((split /\|/, rule("'{yogurt}'", "'whole milk'", 6))[2], '1.571735', 'yogurt, then whole milk');
done_testing();
