-- What every shape needs once its tables are there: statistics, and a function that reads them
SELECT format('VACUUM (FREEZE, ANALYZE) %I.%I', :'shape', relname) FROM pg_class WHERE relnamespace = :'shape'::regnamespace AND relkind IN ('r', 'p') \gexec
SELECT format('CREATE FUNCTION %I.warm() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN %s END $f$', :'shape',
	string_agg(format('PERFORM count(t) FROM %s t;', oid::regclass), ' ')) FROM (
	SELECT oid FROM pg_class
	WHERE relkind = 'r' AND (relnamespace = :'shape'::regnamespace OR relname = 'orders' AND relnamespace = 'public'::regnamespace
		AND NOT EXISTS (SELECT FROM pg_class o WHERE o.relnamespace = :'shape'::regnamespace AND o.relkind = 'r'))) t \gexec
INSERT INTO shape (name, memory, bytes) SELECT :'shape', :'memory', sum(pg_relation_size(oid)) FROM pg_class
WHERE relkind = 'r' AND (relnamespace = :'shape'::regnamespace OR relname = 'orders' AND relnamespace = 'public'::regnamespace
	AND NOT EXISTS (SELECT FROM pg_class o WHERE o.relnamespace = :'shape'::regnamespace AND o.relkind = 'r'));
