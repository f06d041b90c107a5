-- What a process meets that still looks for the rows where they were: it reads the map again.
CREATE OR REPLACE FUNCTION scalekit_db_moved() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'These rows have moved to shards' USING ERRCODE = 'SK001';
END $$;

CREATE OR REPLACE FUNCTION scalekit_db_moved_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'These rows have moved to shards' USING ERRCODE = 'SK001';
END $$;
