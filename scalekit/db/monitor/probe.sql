-- What a server is and how far it has come, for any role; pg_monitor adds the receiver's timeline and
-- status. The row of a receiver that runs is visible to all. The position is read before the timeline: the
-- other way round, a standby could move to a new timeline in between.
WITH here AS MATERIALIZED (
    SELECT pg_is_in_recovery() AS standby,
           CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                ELSE pg_current_wal_insert_lsn() END AS lsn,
           CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END AS paused,
           CASE WHEN pg_is_in_recovery() THEN NULL
                ELSE pg_walfile_name(pg_current_wal_lsn()) END AS wal_file
)
SELECT here.standby,
       here.lsn::text,
       here.paused,
       here.wal_file,
       receiver.received_tli,
       greatest((SELECT timeline_id FROM pg_control_checkpoint()),
                (SELECT min_recovery_end_timeline FROM pg_control_recovery())),
       receiver.pid IS NOT NULL AND coalesce(receiver.status, 'streaming') = 'streaming',
       (SELECT system_identifier FROM pg_control_system()),
       current_setting('wal_block_size')::bigint,
       pg_size_bytes(current_setting('wal_segment_size'))
  FROM here LEFT JOIN pg_stat_wal_receiver AS receiver ON true
