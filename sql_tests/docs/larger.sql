-- The page's orders have time stamps with a time zone.
\ir common.sql
CREATE EXTENSION crm_profile;
ALTER TABLE orders ADD sold_at timestamptz;
UPDATE orders SET sold_at = ordered_at AT TIME ZONE 'UTC';
