-- Jobs that the broker has confirmed are due again only if nobody claims them. Nothing is lost if that is
-- lost in a crash, a job is published twice then: so this commit does not wait for the disk.
WITH lazily AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
UPDATE scalekit_queue_taskrecord
   SET publish_at = statement_timestamp() + make_interval(secs => %s)
  FROM lazily
 WHERE id = ANY(%s) AND publications = %s AND status IN ('READY', 'RUNNING')
