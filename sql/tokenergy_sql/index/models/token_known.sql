-- From when to when the counters of each source of a job were read.
-- In: token_point (see `token_point.sql`), token_span. Out: job_id, node, source_id, from_us, to_us.
SELECT
    job_id,
    NULL::VARCHAR AS node,
    source_id,
    -- A process that began with the job was at zero then.
    least(min(p.ts_us), min(p.since_us) FILTER (
        WHERE p.since_us >= s.job_start_us - us_per_second()
    )) AS from_us,
    max(p.ts_us) AS to_us
FROM token_point AS p
LEFT JOIN token_span AS s USING (job_id)
GROUP BY job_id, source_id
