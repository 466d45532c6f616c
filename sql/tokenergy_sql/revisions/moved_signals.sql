-- Jobs of which signals say something else in two revisions, with the hours in which they do.
-- In: before, after (rows of job_signal_hour in two revisions). Out: one row a job and quantity:
-- the unit, these hours, the facility's amount (else the GPUs') in them before and after, and the
-- energy of which it is known.
WITH
of_job AS (
    SELECT 'before' AS side, * EXCLUDE (index_version) FROM before
    UNION ALL
    SELECT 'after', * EXCLUDE (index_version) FROM after
),
own AS (
    SELECT
        side, job_id, hour_us, quantity, signal,
        COLUMNS(* EXCLUDE (side, job_id, hour_us, quantity, signal))::VARCHAR
    FROM of_job
),
moved_hour AS (
    SELECT job_id, hour_us, quantity, signal
    FROM (SELECT DISTINCT * EXCLUDE (side) FROM own)
    GROUP BY ALL
    HAVING count(*) > 1
    UNION
    SELECT job_id, hour_us, quantity, signal
    FROM own
    GROUP BY ALL
    HAVING count(DISTINCT side) = 1
),
told AS (
    SELECT
        *,
        coalesce(facility_amount, gpu_amount) AS amount,
        coalesce(facility_known_nj, gpu_known_nj) AS known_nj
    FROM of_job
    JOIN moved_hour USING (job_id, hour_us, quantity, signal)
)
SELECT
    job_id,
    quantity,
    max(unit) AS unit,
    list(DISTINCT hour_us ORDER BY hour_us) AS hours_us,
    (sum(amount) FILTER (WHERE side = 'before'))::DOUBLE AS amount_before,
    (sum(amount) FILTER (WHERE side = 'after'))::DOUBLE AS amount_after,
    (sum(known_nj) FILTER (WHERE side = 'before'))::DOUBLE AS known_before_nj,
    (sum(known_nj) FILTER (WHERE side = 'after'))::DOUBLE AS known_after_nj
FROM told
GROUP BY job_id, quantity
ORDER BY job_id, quantity
