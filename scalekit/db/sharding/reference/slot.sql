SELECT active, wal_status, safe_wal_size,
       greatest(0, pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn))::bigint,
       current_setting('max_slot_wal_keep_size')
  FROM pg_replication_slots WHERE slot_name = %s
