-- Where the log of a primary ends, once what this unit of work wrote is committed.
-- The insert position, for a commit with synchronous_commit = off has not been flushed yet; and never
-- pg_control_checkpoint(), which names the old timeline until the first checkpoint after a promotion.
SELECT (SELECT system_identifier FROM pg_control_system()),
       pg_walfile_name(pg_current_wal_lsn()),
       pg_current_wal_insert_lsn()::text,
       current_setting('wal_block_size')::bigint,
       pg_size_bytes(current_setting('wal_segment_size'))
 WHERE NOT pg_is_in_recovery()
