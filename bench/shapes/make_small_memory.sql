-- The same with work_mem as it comes
CREATE SCHEMA small_memory;
CREATE VIEW small_memory.orders AS SELECT * FROM public.orders;
