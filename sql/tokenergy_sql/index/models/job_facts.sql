-- What is known of each job besides its sums: who, what, where, when.
-- In: allocation, device_now, job_usage. Out: one row a job.
WITH
placed AS (
    SELECT
        a.job_id,
        max(a.cluster) AS cluster,
        max(a."name") AS name,
        max(a."user") AS "user",
        max(a.account) AS account,
        string_agg(DISTINCT d."name", '+' ORDER BY d."name") AS gpu,
        min(a.start_us) AS start_us,
        CASE WHEN bool_or(a.end_us IS NULL) THEN NULL ELSE max(a.end_us) END AS end_us,
        bool_or(a.end_us IS NULL) AS running,
        count(DISTINCT a.node)::INT AS nodes,
        count(DISTINCT coalesce(gone.device_id, a.device_id))::INT AS devices,
        coalesce(bool_or(d.emulated), false) AS emulated
    FROM allocation AS a
    LEFT JOIN device_now AS d USING (device_id)
    -- A board that was found on another node is the same board while the job still claims it.
    -- Written so that it is a hash join.
    LEFT JOIN device_now AS gone
        ON gone.device_id = substr(a.device_id, length(a.node) + 2)
        AND starts_with(a.device_id, a.node || '/')
    GROUP BY a.job_id
)
SELECT
    job_id,
    p.cluster,
    p."name",
    p."user",
    p.account,
    u.model,
    p.gpu,
    CASE
        WHEN u.trained > 0 AND u.inferred > 0 THEN 'mixed'
        WHEN u.trained > 0 THEN 'training'
        WHEN u.inferred > 0 THEN 'inference'
        -- Counters that never moved still say what the job is for.
        WHEN u.trained = 0 AND u.inferred IS NULL THEN 'training'
        WHEN u.inferred = 0 AND u.trained IS NULL THEN 'inference'
        ELSE 'none'
    END AS workload,
    coalesce(p.start_us, u.first_hour_us) AS start_us,
    p.end_us,
    coalesce(p.running, false) AS running,
    coalesce(p.nodes, 0) AS nodes,
    coalesce(p.devices, 0) AS devices,
    coalesce(p.emulated, false) AS emulated
FROM placed AS p
FULL JOIN job_usage AS u USING (job_id)
