DROP TRIGGER IF EXISTS scalekit_db_capture ON {table};
DROP TRIGGER IF EXISTS scalekit_db_no_truncate ON {table};
ALTER TABLE {table} RENAME TO {before};
CREATE VIEW {table} WITH (security_barrier) AS SELECT * FROM {before} WHERE (SELECT {moved}());
CREATE TRIGGER scalekit_db_moved INSTEAD OF INSERT OR UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION {moved_row}();
-- Whoever comes is to be told that the rows have moved, and not that permission is denied. Nobody is shown any.
GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO PUBLIC;
