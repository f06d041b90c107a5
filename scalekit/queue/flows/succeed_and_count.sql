-- Finish members that succeeded and count them in their groups, unless one would be the last: that sets off
-- more, and takes a longer way. One statement, since all members of a group wait while its row is locked; and a
-- client that has to be woken up between two of them lets the others wait for that, too.
-- Jobs are locked before groups, jobs in the order of the ids, as everywhere, and groups in the reverse order:
-- who ends a group goes on to the one around it, whose id is smaller.
WITH said AS (
    SELECT * FROM jsonb_to_recordset(%(said)s::jsonb) AS said(id uuid, attempt integer, value jsonb)
),
mine AS MATERIALIZED (
    SELECT job.id, job."group", said.value
      FROM scalekit_queue_taskrecord AS job JOIN said ON said.id = job.id
     WHERE job.attempt = said.attempt AND job.status = 'RUNNING'
     ORDER BY job.id
       FOR UPDATE OF job
),
members AS MATERIALIZED (
    SELECT "group", count(*)::integer AS number FROM mine GROUP BY "group"
),
locked AS MATERIALIZED (
    SELECT id FROM scalekit_queue_taskgroup
     WHERE id IN (SELECT "group" FROM members)
     ORDER BY id DESC
       FOR UPDATE
),
counted AS (
    UPDATE scalekit_queue_taskgroup AS whole
       SET pending = whole.pending - members.number
      FROM members JOIN locked ON locked.id = members."group"
     WHERE whole.id = members."group" AND whole.pending > members.number
    RETURNING whole.id
)
UPDATE scalekit_queue_taskrecord AS job
   SET status = 'SUCCESSFUL',
       return_value = mine.value,
       finished_at = statement_timestamp(),
       expires_at = statement_timestamp() + make_interval(secs => %(keep)s),
       unique_key = NULL,
       leased_until = NULL,
       publish_at = NULL,
       publications = job.publications + 1
  FROM mine JOIN counted ON counted.id = mine."group"
 WHERE job.id = mine.id
RETURNING job.id, job.finished_at
