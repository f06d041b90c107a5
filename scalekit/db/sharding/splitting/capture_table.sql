CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO scalekit_db_shardchange (table_name, row_id) VALUES ({literal}, NEW.{pk}::text);
    END IF;
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND OLD.{pk} IS DISTINCT FROM NEW.{pk}) THEN
        INSERT INTO scalekit_db_shardchange (table_name, row_id) VALUES ({literal}, OLD.{pk}::text);
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER scalekit_db_capture AFTER INSERT OR UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION {function}();
CREATE OR REPLACE TRIGGER scalekit_db_no_truncate BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION scalekit_db_no_truncate();
