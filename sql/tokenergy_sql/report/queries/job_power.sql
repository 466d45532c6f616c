-- Energy of each job over time. In: ledger, ledger_hour, ledger_by_segment (for steps that would
-- cut runs of 30 s), job_step. Out: one row a job and step. A row counts in the step in which it
-- starts.
WITH fine AS (
    SELECT coalesce(list(job_id), []) AS job_ids
    FROM job_step
    WHERE step_us % (30 * us_per_second()) <> 0
)
SELECT
    job_id,
    start_us - start_us % step_us AS at_us,
    joules(coalesce(sum(energy_nj) FILTER (WHERE account = 'active'), 0)::DOUBLE) AS active_j,
    joules(coalesce(sum(energy_nj) FILTER (WHERE account = 'resident_idle'), 0)::DOUBLE) AS idle_j,
    coalesce(sum(device_us) FILTER (WHERE energy_nj IS NULL), 0)::DOUBLE / sum(device_us)
        AS unknown
FROM (
    SELECT l.job_id, l.start_us, s.step_us, l.account, l.energy_nj, l.device_us
    FROM ledger AS l
    JOIN job_step AS s USING (job_id)
    WHERE s.step_us < us_per_hour() AND s.step_us % (30 * us_per_second()) = 0
    UNION ALL
    SELECT l.job_id, l.start_us, s.step_us, l.account, l.energy_nj, l.device_us
    FROM ledger_by_segment(jobs := (SELECT job_ids FROM fine)) AS l
    JOIN job_step AS s USING (job_id)
    UNION ALL
    SELECT
        l.job_id, l.hour_us, s.step_us, l.account, l.energy_nj, l.device_us
    FROM ledger_hour AS l
    JOIN job_step AS s USING (job_id)
    WHERE s.step_us >= us_per_hour()
)
GROUP BY ALL
HAVING sum(device_us) > 0
ORDER BY ALL
