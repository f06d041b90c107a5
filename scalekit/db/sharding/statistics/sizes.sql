-- Rows as the statistics have them, which a count since the last one may not have reached yet; bytes with indexes and TOAST.
SELECT c.relname,
       COALESCE(NULLIF(s.n_live_tup, 0), GREATEST(c.reltuples, 0))::bigint,
       pg_total_relation_size(c.oid)
FROM pg_class c
LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.relkind = 'r' AND pg_table_is_visible(c.oid) AND c.relname = ANY(%s)
