-- Constraints by what they say; NOT NULL, which newer servers list among them, is said by the columns.
SELECT c.relname, pg_get_constraintdef(k.oid, true)
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
WHERE k.contype IN ('p', 'u', 'f', 'c', 'x') AND pg_table_is_visible(c.oid) AND c.relname = ANY(%s)
