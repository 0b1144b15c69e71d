\ir ../../demo/tables.sql
