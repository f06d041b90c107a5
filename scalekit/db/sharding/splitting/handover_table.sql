DROP TRIGGER IF EXISTS scalekit_db_capture ON {table};
DROP TRIGGER IF EXISTS scalekit_db_no_truncate ON {table};
ALTER TABLE {table} RENAME TO {before};
CREATE VIEW {table} AS SELECT * FROM {before} WHERE (SELECT scalekit_db_moved());
CREATE TRIGGER scalekit_db_moved INSTEAD OF INSERT OR UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION scalekit_db_moved_row();
