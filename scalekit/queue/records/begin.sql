-- Begin what is new, or due to be tried again, in one round trip; whatever else may be begun takes a longer way.
-- The rows are locked in the order of their ids, so that two groups cannot wait for each other. The commit does
-- not wait for the disk: a claim that is lost in a crash of the server is a job that is run twice.
WITH lazily AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true)
),
wanted AS MATERIALIZED (
    SELECT id FROM scalekit_queue_taskrecord WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE
)
UPDATE scalekit_queue_taskrecord AS job
   SET status = 'RUNNING',
       attempt = job.attempt + 1,
       publications = job.publications + 1,
       publish_at = NULL,
       leased_until = statement_timestamp() + make_interval(secs => %(lease)s),
       started_at = coalesce(job.started_at, statement_timestamp()),
       last_attempted_at = statement_timestamp(),
       worker_ids = job.worker_ids || to_jsonb(%(worker)s::text)
  FROM wanted, lazily
 WHERE job.id = wanted.id
   AND job.status = 'READY'
   AND NOT job.cancel_asked
   AND (job.run_after IS NULL OR job.run_after <= statement_timestamp())
RETURNING job.*
