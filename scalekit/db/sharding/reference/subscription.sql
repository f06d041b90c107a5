SELECT s.subenabled,
       EXISTS (SELECT FROM pg_stat_subscription w WHERE w.subid = s.oid AND w.pid IS NOT NULL),
       coalesce((SELECT apply_error_count FROM pg_stat_subscription_stats e WHERE e.subid = s.oid), 0),
       ARRAY(SELECT r.srrelid::regclass::text FROM pg_subscription_rel r WHERE r.srsubid = s.oid)
  FROM pg_subscription s
 WHERE s.subname = %s AND s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
