SELECT
  (SELECT count(*) FROM chaos_order),
  (SELECT count(*) FROM chaos_order o WHERE NOT EXISTS (SELECT FROM chaos_effect e WHERE e.job = o.job)),
  (SELECT count(*) FROM chaos_run),
  (SELECT count(*) FROM chaos_effect),
  (SELECT count(*) FROM chaos_effect e WHERE NOT EXISTS (SELECT FROM chaos_order o WHERE o.job = e.job)),
  (SELECT coalesce(max(first_effect - o.at), interval '0') FROM chaos_order o
    JOIN (SELECT job, min(at) AS first_effect FROM chaos_effect GROUP BY job) e ON e.job = o.job)
