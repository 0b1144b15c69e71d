-- The dirt of a real customer table: Customer Personality as it is published (sql_tests/data/customer_personality.md), each fault counted here by plain
-- SQL, and nothing else found. TAP test online_retail does the same for a real order table, where that is there
\set SHOW_CONTEXT never
\getenv abs_srcdir PG_ABS_SRCDIR
SET client_min_messages = error;
SET datestyle = ISO;
\set load :abs_srcdir '/data/customer_personality.psql'
\i :load
-- an order each, of all that they bought, on the day they came
CREATE VIEW spending AS SELECT "ID" AS person, "Dt_Customer" AS day, "MntWines" + "MntFruits" + "MntMeatProducts" + "MntFishProducts" + "MntSweetProducts" + "MntGoldProds" AS amount FROM person;
SELECT value AS attributes FROM crm_profile.create_source('food', 'person', 'spending', customer_key => 'ID', order_customer => 'person', ordered_at => 'day', amount => 'amount', as_of => '2014-06-30',
	attributes => (SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'person'::regclass AND attnum > 1 AND attname <> 'Dt_Customer')) WHERE argument = 'attributes';
SELECT finding, severity, rows, customers, sample_keys, argument FROM crm_profile.check_source_details('food');
-- the same by hand
SELECT 'born too early' AS fault, count(*), array_agg("ID" ORDER BY "ID"::text COLLATE "C") AS keys, array_agg("Year_Birth" ORDER BY "Year_Birth") AS values FROM person WHERE "Year_Birth" < 2014 - 110
UNION ALL SELECT 'income far from all others', count(*), array_agg("ID"), array_agg("Income"::integer) FROM person WHERE "Income" > 2 * (SELECT percentile_disc(0.999) WITHIN GROUP (ORDER BY "Income") FROM person);
SELECT "Marital_Status", count(*), sum(count(*)) OVER () AS all_of_them FROM person GROUP BY 1 HAVING count(*) < 5 ORDER BY min("Marital_Status" COLLATE "C");
SELECT count(DISTINCT "Z_CostContact"), count(DISTINCT "Z_Revenue"), count(*) FILTER (WHERE "Income" IS NULL) AS without_income FROM person;
-- corrected
SELECT crm_profile.alter_source('food', attributes => '{Year_Birth,Education,Marital_Status,Income}', corrections => '{"missing_values": {"Income": ["666666"], "Marital_Status": ["YOLO", "Absurd", "Alone"]}}');
SELECT customers FROM crm_profile.refresh('food');
SELECT finding, severity FROM food.data_quality;
SELECT count(*) FILTER (WHERE "Marital_Status" IS NULL) AS marital_status, count(*) FILTER (WHERE "Income" IS NULL) AS income, max("Income") FROM food.customer_attributes;
SELECT finding FROM crm_profile.check_source_details('food');
SELECT crm_profile.drop_source('food');
DROP VIEW spending;
DROP TABLE person;
