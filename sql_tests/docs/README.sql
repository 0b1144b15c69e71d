-- The pages' first blocks make the extension
\ir common.sql
