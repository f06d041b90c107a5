-- What writers change while rows are copied. The row itself is read when the change is carried over.
CREATE TABLE IF NOT EXISTS scalekit_db_shardchange (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name text NOT NULL,
    row_id text NOT NULL
);

CREATE OR REPLACE FUNCTION scalekit_db_no_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The rows of % are being copied to shards: DELETE them, or run manage.py shard_tables cancel first', TG_TABLE_NAME;
END $$;
