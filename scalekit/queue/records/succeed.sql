-- Finish what has succeeded and is still its worker's, in one round trip. This commit waits for the disk, if the
-- server's do: who has seen a job succeed must not see it run again.
UPDATE scalekit_queue_taskrecord AS job
   SET status = 'SUCCESSFUL',
       return_value = said.value,
       finished_at = statement_timestamp(),
       expires_at = statement_timestamp() + make_interval(secs => %(keep)s),
       unique_key = NULL,
       leased_until = NULL,
       publish_at = NULL,
       publications = job.publications + 1
  FROM jsonb_to_recordset(%(said)s::jsonb) AS said(id uuid, attempt integer, value jsonb)
 WHERE job.id = said.id
   AND job.attempt = said.attempt
   AND job.status = 'RUNNING'
RETURNING job.id, job.finished_at
