-- Its function runs as whoever set it up: the roles that write to the table have no rights to what it keeps.
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION 'The rows of % are being copied to shards: DELETE them, or run manage.py shard_tables cancel first', TG_TABLE_NAME;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO {changes} (table_name, row_id) VALUES ({literal}, NEW.{pk}::text);
    END IF;
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND OLD.{pk} IS DISTINCT FROM NEW.{pk}) THEN
        INSERT INTO {changes} (table_name, row_id) VALUES ({literal}, OLD.{pk}::text);
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER scalekit_db_capture AFTER INSERT OR UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION {function}();
CREATE OR REPLACE TRIGGER scalekit_db_no_truncate BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION {function}();
