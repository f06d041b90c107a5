-- Jobs that are not kept go once the broker has confirmed them; this commit does not wait for the disk either.
WITH lazily AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
DELETE FROM scalekit_queue_taskrecord
 USING lazily
 WHERE id = ANY(%(ids)s) AND publications = %(token)s AND status IN ('READY', 'RUNNING')
