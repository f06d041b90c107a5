-- Many jobs as one JSON array: one parameter, where a parameter for each column of each row takes the driver
-- longer than it takes the server to insert them.
INSERT INTO scalekit_queue_taskrecord (
    id, kind, path, queue_name, priority, backend, args, kwargs, options, kept, "group",
    publish_at, run_after, status, worker_ids, errors
)
SELECT id, kind, path, queue_name, priority, backend, args, kwargs, options, kept, "group",
       coalesce(publish_at, statement_timestamp() + make_interval(secs => %s)),
       run_after, 'READY', '[]', '[]'
  FROM jsonb_to_recordset(%s) AS jobs (
    id uuid, kind text, path text, queue_name text, priority smallint, backend text,
    args jsonb, kwargs jsonb, options jsonb, kept boolean, "group" uuid,
    publish_at timestamptz, run_after timestamptz
)
RETURNING enqueued_at
