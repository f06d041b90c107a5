-- Take what is due, the most urgent first, in one round trip. Sorting all that is due by priority, for each
-- batch, would take longer than publishing it: so the longest due are looked at, and sorted. The condition
-- stands twice, since only the second is asked again of a row that another relay has just taken. The commit
-- does not wait for the disk: a claim that is lost in a crash is a batch that is published twice.
WITH lazily AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true)
),
longest_due AS MATERIALIZED (
    SELECT id FROM scalekit_queue_taskrecord
     WHERE publish_at <= statement_timestamp() AND status IN ('READY', 'RUNNING')
     ORDER BY publish_at
     LIMIT %(window)s
),
taken AS MATERIALIZED (
    SELECT id, publish_at FROM scalekit_queue_taskrecord
     WHERE id IN (SELECT id FROM longest_due)
       AND publish_at <= statement_timestamp() AND status IN ('READY', 'RUNNING')
     ORDER BY priority DESC, publish_at
     LIMIT %(limit)s
       FOR UPDATE SKIP LOCKED
)
UPDATE scalekit_queue_taskrecord AS job
   SET publish_at = statement_timestamp() + make_interval(secs => %(lease)s),
       publications = publications + 1
  FROM taken, lazily
 WHERE job.id = taken.id
RETURNING job.id, kind, path, queue_name, priority, backend, args, kwargs, options, kept, publications,
          enqueued_at, run_after, taken.publish_at, statement_timestamp() AS now
