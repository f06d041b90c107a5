-- Primary keys, unique constraints, unique indexes and foreign keys of some tables, with their columns in order.
-- Keys that other tables have to them are among them: they must go before the table is distributed.
SELECT c.conname, c.contype::text, c.conrelid::regclass::text AS on_table,
       ARRAY(SELECT a.attname FROM unnest(c.conkey) WITH ORDINALITY k(attnum, place)
             JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum ORDER BY place)::text[] AS columns,
       CASE WHEN c.contype = 'f' THEN c.confrelid::regclass::text END AS to_table,
       ARRAY(SELECT a.attname FROM unnest(c.confkey) WITH ORDINALITY k(attnum, place)
             JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.attnum ORDER BY place)::text[] AS to_columns,
       pg_get_constraintdef(c.oid) AS definition
FROM pg_constraint c
WHERE c.contype IN ('p', 'u', 'f')
  AND (c.conrelid = ANY (%(tables)s::regclass[]) OR c.confrelid = ANY (%(tables)s::regclass[]))
UNION ALL
SELECT i.indexrelid::regclass::text, 'i', i.indrelid::regclass::text,
       ARRAY(SELECT a.attname FROM unnest(i.indkey::smallint[]) WITH ORDINALITY k(attnum, place)
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum ORDER BY place)::text[],
       NULL, ARRAY[]::text[], pg_get_indexdef(i.indexrelid)
FROM pg_index i
WHERE i.indisunique AND i.indrelid = ANY (%(tables)s::regclass[])
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x'))
ORDER BY 3, 1
