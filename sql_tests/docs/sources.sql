\ir common.sql
-- the other page may make it at the same moment
DO $$ BEGIN CREATE ROLE analyst; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
