-- The parts of each job's energy, from steady state to unknown, add up to it, to the nanojoule.
-- fail, hourly
-- In: job_efficiency, job_hour_index. Out: the jobs and hours in which they do not.
SELECT
    job_id,
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%HZ') AS "hour",
    e.e_gpu_nj,
    coalesce(e.e_steady_nj, 0) + coalesce(e.e_low_batch_nj, 0) + coalesce(e.e_prefill_nj, 0)
    + coalesce(e.e_no_tokens_nj, 0) + coalesce(e.e_idle_nj, 0) + coalesce(e.e_unknown_nj, 0)
        AS parts_nj,
    j.e_gpu_nj AS index_nj
FROM job_efficiency AS e
LEFT JOIN job_hour_index AS j USING (job_id, hour_us)
WHERE e.e_gpu_nj IS DISTINCT FROM j.e_gpu_nj OR coalesce(e.e_gpu_nj, 0) <> parts_nj
ORDER BY ALL
