-- Time order, bigint, numeric(12, 2): what the others are compared with
CREATE SCHEMA usual;
CREATE VIEW usual.orders AS SELECT * FROM public.orders;
