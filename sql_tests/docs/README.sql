-- The first blocks of the pages create the extension
\ir common.sql
