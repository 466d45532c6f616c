-- Who holds what in an hour, of the jobs of which tokens were read: for `job_cut.sql`.
-- In: allocation, token_growth, token_point (all readings around the hour), parameters. Out:
-- job_id, node, start_us, end_us (NULL: still running); boards and nodes (whether the job holds
-- several in the hour).
SELECT
    a.job_id, a.node, a.start_us, a.end_us,
    max(a.device_id) OVER job > min(a.device_id) OVER job AS boards,
    max(coalesce(a.node, '')) OVER job > min(coalesce(a.node, '')) OVER job AS nodes
FROM allocation AS a
SEMI JOIN (
    SELECT job_id FROM token_point
    UNION ALL
    SELECT job_id FROM token_growth
) USING (job_id)
CROSS JOIN parameters AS p
WHERE
    a.start_us < p.hour_us + us_per_hour()
    AND (a.end_us IS NULL OR a.end_us > p.hour_us)
WINDOW job AS (PARTITION BY a.job_id)
