-- Indexes by what they do, without those that serve a constraint. Invalid is what CREATE INDEX CONCURRENTLY left
-- behind when it failed.
SELECT c.relname,
       replace(pg_get_indexdef(i.indexrelid, 0, true), ' INDEX ' || quote_ident(n.relname) || ' ON ', ' INDEX ON ')
       || CASE WHEN i.indisvalid THEN '' ELSE ' (invalid)' END
FROM pg_index i
JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_class n ON n.oid = i.indexrelid
WHERE NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid)
  AND pg_table_is_visible(c.oid) AND c.relname = ANY(%s)
