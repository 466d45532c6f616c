-- Jobs whose figures differ between two revisions, with the hours in which they differ.
-- In: before, after (rows of job_hour_index in two revisions). Out: one row a job, the largest
-- change of energy first.
WITH
of_job AS (
    SELECT 'before' AS side, * FROM before
    UNION ALL
    SELECT 'after', * FROM after
),
-- Provenance is not a figure, and the idle energy that a job bears is not its own.
own AS (
    SELECT side, job_id, hour_us, COLUMNS(* EXCLUDE (side, job_id, hour_us))::VARCHAR
    FROM (SELECT * EXCLUDE (
        inputs_digest, index_version,
        e_gpu_burdened_nj, e_facility_burdened_nj, te_gpu_burdened, tokenergy_burdened,
        e_joint_burdened_nj, e_joint_facility_burdened_nj
    ) FROM of_job)
),
moved_hour AS (
    SELECT job_id, hour_us
    FROM (SELECT DISTINCT * EXCLUDE (side) FROM own)
    GROUP BY job_id, hour_us
    HAVING count(*) > 1
    UNION
    SELECT job_id, hour_us FROM own GROUP BY job_id, hour_us HAVING count(DISTINCT side) = 1
),
summed AS (
    SELECT
        job_id,
        joules(sum(e_gpu_nj) FILTER (WHERE side = 'before')::DOUBLE) AS j_before,
        joules(sum(e_gpu_nj) FILTER (WHERE side = 'after')::DOUBLE) AS j_after,
        joules(sum(e_facility_nj) FILTER (WHERE side = 'before')::DOUBLE) AS facility_j_before,
        joules(sum(e_facility_nj) FILTER (WHERE side = 'after')::DOUBLE) AS facility_j_after,
        sum(coalesce(n_generated, n_trained)) FILTER (WHERE side = 'before')::BIGINT
            AS tokens_before,
        sum(coalesce(n_generated, n_trained)) FILTER (WHERE side = 'after')::BIGINT
            AS tokens_after
    FROM of_job
    GROUP BY job_id
)
SELECT
    job_id, hours_us, j_before, j_after, facility_j_before, facility_j_after,
    tokens_before, tokens_after
FROM (
    SELECT job_id, list(hour_us ORDER BY hour_us) AS hours_us FROM moved_hour GROUP BY job_id
)
JOIN summed USING (job_id)
ORDER BY abs(coalesce(j_after, 0) - coalesce(j_before, 0)) DESC, job_id
