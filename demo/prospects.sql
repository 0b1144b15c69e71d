-- From the best customers to prospects who are like them: the second part of the demo.  Run in demo/, in a database with crm_profile: see demo/run.
\set ON_ERROR_STOP on
\pset border 1
\pset footer off
\pset null -
\pset columns 80
SET DateStyle = ISO;
SET search_path = public, crm_profile;

\echo
\echo '================================================================================'
\echo ' Prospects: who out there is like the best customers?'
\echo '================================================================================'
\echo 'Customers of a food retailer with their demographics and what they spent. Every'
\echo 'tenth is held out to play the prospect: the model sees their demographics only.'
\echo
\echo 'Data: Customer Personality Analysis, A. Patel after O. Romero-Hernandez, Kaggle,'
\echo '2021, CC0 (see sql_tests/data/customer_personality.md).'
\echo
CREATE TABLE person ("ID" int, "Year_Birth" int, "Education" text, "Marital_Status" text, "Income" numeric, "Kidhome" int, "Teenhome" int,
	"Dt_Customer" date, "Recency" int, "MntWines" int, "MntFruits" int, "MntMeatProducts" int, "MntFishProducts" int, "MntSweetProducts" int,
	"MntGoldProds" int, "NumDealsPurchases" int, "NumWebPurchases" int, "NumCatalogPurchases" int, "NumStorePurchases" int,
	"NumWebVisitsMonth" int, "AcceptedCmp3" int, "AcceptedCmp4" int, "AcceptedCmp5" int, "AcceptedCmp1" int, "AcceptedCmp2" int,
	"Complain" int, "Z_CostContact" int, "Z_Revenue" int, "Response" int);
\copy person from program 'gzip -dc ../sql_tests/data/customer_personality.csv.gz' csv header
CREATE TABLE shopper AS
	SELECT "ID" AS id, "Year_Birth" AS born, "Education" AS education, "Marital_Status" AS marital_status, "Income" AS income,
		"Kidhome" AS kids, "Teenhome" AS teens, date '2014-06-29' - "Recency" AS last_order,
		"MntWines" + "MntFruits" + "MntMeatProducts" + "MntFishProducts" + "MntSweetProducts" + "MntGoldProds" AS spent
	FROM person;
DROP TABLE person;
\set ECHO queries
CREATE TABLE client AS
SELECT id, born, education, marital_status, income, kids, teens, spent,
       spent > 1200 AS is_best
FROM shopper WHERE id % 10 <> 0;

CREATE TABLE lead AS
SELECT id, born, education, marital_status, income, kids, teens
FROM shopper WHERE id % 10 = 0;

SELECT (SELECT count(*) FROM client) AS customers,
       (SELECT count(*) FROM client WHERE is_best) AS best,
       (SELECT count(*) FROM lead) AS prospects;

\set ECHO none
\echo
\echo 'What sets the best apart (and that the amount spent would leak the answer):'
\echo
\set ECHO queries
SELECT attribute, verdict, round(information_value::numeric, 2) AS iv
FROM unnest((SELECT attribute_relevance(c, is_best, '{id, is_best}')
             FROM client c));

\set ECHO none
\echo
\echo 'Ten prospects, the best matches first, with the reasons:'
\echo
\pset format wrapped
\set ECHO queries
SELECT rank, prospect, round(score::numeric, 2) AS chance,
       nearest_customer AS like, reasons
FROM match_prospects(NULL::int,
    'SELECT id, is_best AS is_target, born, education,
            marital_status, income, kids, teens FROM client',
    'SELECT * FROM lead', max_rows => 10);

\set ECHO none
\pset format aligned
\echo
\echo 'Was it right? What the prospects really spent, which the model never saw:'
\echo
\set ECHO queries
SELECT decile, count(*) AS prospects,
       round(100 * avg((spent > 1200)::int)) AS best_percent,
       round(100 * avg(score)::numeric) AS expected_percent,
       round(avg(spent)) AS spent
FROM match_prospects(NULL::int,
    'SELECT id, is_best AS is_target, born, education,
            marital_status, income, kids, teens FROM client',
    'SELECT * FROM lead') m
JOIN shopper ON id = prospect
GROUP BY decile ORDER BY decile;

\set ECHO none
\echo
\echo 'Where to find more of them:'
\echo
\set ECHO queries
SELECT attribute, value, prospects_there AS prospects, look_alikes,
       round(concentration::numeric, 1) AS times_their_share
FROM where_to_find(NULL::int,
    'SELECT id, is_best AS is_target, born, education,
            marital_status, income, kids, teens FROM client',
    'SELECT * FROM lead', 0.2) LIMIT 6;
\set ECHO none
\echo
\echo 'The same over a source: mapped once, learnt at every refresh, read as a view.'
\echo '(Orders here are one line a customer: when he was last there, what he spent.)'
\echo
\pset format wrapped
\set ECHO queries
ALTER TABLE client ADD PRIMARY KEY (id);
ALTER TABLE lead ADD PRIMARY KEY (id);

SELECT * FROM crm_profile.create_source('food', 'client',
    'SELECT id AS client_id, last_order, spent::numeric
     FROM shopper WHERE id % 10 <> 0',
    as_of => '2014-06-30', prospects => 'lead', best => 'monetary > 1200');

SELECT * FROM crm_profile.refresh('food');

SELECT prospect, lifecycle, round(score::numeric, 2) AS chance,
       round(lift::numeric, 1) AS lift, reasons
FROM food.prospect_match ORDER BY score DESC, prospect LIMIT 5;
\set ECHO none
SELECT crm_profile.drop_source('food') \g /dev/null
DROP TABLE shopper, client, lead;
