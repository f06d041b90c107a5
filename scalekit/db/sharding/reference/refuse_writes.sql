-- A shard's copy is written by replication alone, whose worker runs with session_replication_role = replica, for which
-- this trigger does not fire. Whoever sets scalekit.reference_copy means to copy.
CREATE OR REPLACE FUNCTION scalekit_refuse_copy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(current_setting('scalekit.reference_copy', true), '') <> 'on' THEN
        RAISE EXCEPTION 'table "%" is a copy of a reference table: write it on the default database', TG_TABLE_NAME
              USING ERRCODE = 'SK002';
    END IF;
    RETURN NULL;
END
$$
