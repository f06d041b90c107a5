-- Jobs that the broker has confirmed are due again only if nobody claims them. Nothing is lost if that is
-- lost in a crash, a job is published twice then: so this commit does not wait for the disk. Nor does it wait
-- for anybody: who has a row locked has begun the job.
WITH lazily AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
confirmed AS MATERIALIZED (
    SELECT id FROM scalekit_queue_taskrecord
     WHERE id = ANY(%(ids)s) AND publications = %(token)s AND status IN ('READY', 'RUNNING')
       FOR UPDATE SKIP LOCKED
)
UPDATE scalekit_queue_taskrecord AS job
   SET publish_at = statement_timestamp() + make_interval(secs => %(seconds)s)
  FROM confirmed, lazily
 WHERE job.id = confirmed.id
