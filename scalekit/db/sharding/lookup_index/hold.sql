WITH held AS MATERIALIZED (
    SELECT set_config(
        'scalekit.values_held',
        (coalesce(nullif(current_setting('scalekit.values_held', true), ''), '0')::int + cardinality(%(numbers)s::bigint[]))::text,
        true
    )::int AS number
)
SELECT
    CASE
        WHEN held.number > %(most)s THEN pg_advisory_xact_lock(%(whole)s)
        ELSE pg_advisory_xact_lock_shared(%(whole)s)
    END,
    CASE
        WHEN held.number <= %(most)s THEN
            (SELECT count(pg_advisory_xact_lock(wanted)) FROM unnest(%(numbers)s::bigint[]) AS wanted)
    END
FROM held
