-- What a process meets that still looks for the rows where they were: it reads the map again.
CREATE OR REPLACE FUNCTION {moved}() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'These rows have moved to shards' USING ERRCODE = 'SK001';
END $$;
GRANT EXECUTE ON FUNCTION {moved}() TO PUBLIC;

CREATE OR REPLACE FUNCTION {moved_row}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'These rows have moved to shards' USING ERRCODE = 'SK001';
END $$;
