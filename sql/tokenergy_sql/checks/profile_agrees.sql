-- A job's load profile has the energy that its samples have in the ledger.
-- warn, hourly
-- In: load_profile, ledger. Out: the jobs and hours in which the two differ by more than 0.1 %.
WITH
profiled AS (
    SELECT group_id AS job_id, hour_us, energy_nj, coverage
    FROM load_profile
    WHERE kind = 'job'
),
booked AS (
    SELECT job_id, hour_of(start_us) AS hour_us, sum(integral_nj)::HUGEINT AS integral_nj
    FROM ledger
    WHERE job_id IS NOT NULL
    GROUP BY ALL
)
SELECT
    job_id,
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    round(joules(p.energy_nj), 3) AS profile_j,
    round(joules(b.integral_nj), 3) AS ledger_j
FROM profiled AS p
JOIN booked AS b USING (job_id, hour_us)
WHERE abs(p.energy_nj - b.integral_nj) > greatest(b.integral_nj // 1000, nanojoules(1000))
ORDER BY ALL
