-- The demo's data as tables of a shop: orders and customers (Online Retail), clients and leads (Customer Personality); see README.md in this folder
CREATE TABLE orders (
	order_id text PRIMARY KEY,
	customer integer,
	ordered_at timestamp NOT NULL,
	amount numeric NOT NULL,
	country text
);
\copy orders FROM PROGRAM 'gzip -dc "${DEMO_DIR:-demo}/online_retail_orders.csv.gz"' CSV HEADER
CREATE TABLE customers AS SELECT customer, min(country) AS country FROM orders WHERE customer IS NOT NULL GROUP BY customer;
ALTER TABLE customers ADD PRIMARY KEY (customer);
CREATE TEMPORARY TABLE person ("ID" int, "Year_Birth" int, "Education" text, "Marital_Status" text, "Income" numeric, "Kidhome" int, "Teenhome" int,
	"Dt_Customer" date, "Recency" int, "MntWines" int, "MntFruits" int, "MntMeatProducts" int, "MntFishProducts" int, "MntSweetProducts" int,
	"MntGoldProds" int, "NumDealsPurchases" int, "NumWebPurchases" int, "NumCatalogPurchases" int, "NumStorePurchases" int,
	"NumWebVisitsMonth" int, "AcceptedCmp3" int, "AcceptedCmp4" int, "AcceptedCmp5" int, "AcceptedCmp1" int, "AcceptedCmp2" int,
	"Complain" int, "Z_CostContact" int, "Z_Revenue" int, "Response" int);
\copy person FROM PROGRAM 'gzip -dc "${DEMO_DIR:-demo}/../sql_tests/data/customer_personality.csv.gz"' CSV HEADER
CREATE TABLE clients AS
	SELECT "ID" AS id, "Year_Birth" AS born, "Education" AS education, "Marital_Status" AS marital_status, "Income" AS income, "Kidhome" AS kids, "Teenhome" AS teens,
		"MntWines" + "MntFruits" + "MntMeatProducts" + "MntFishProducts" + "MntSweetProducts" + "MntGoldProds" AS spent
	FROM person WHERE "ID" % 10 <> 0;
CREATE TABLE leads AS
	SELECT "ID" AS id, "Year_Birth" AS born, "Education" AS education, "Marital_Status" AS marital_status, "Income" AS income, "Kidhome" AS kids, "Teenhome" AS teens
	FROM person WHERE "ID" % 10 = 0;
DROP TABLE person;
CREATE EXTENSION crm_profile;
VACUUM ANALYZE;
