-- The hours of the jobs that one side of a comparison names, and what their boards were set to.
-- In: job_hour_index, job_index, ledger_hour, device_at; $job, $model, $since, $until (NULL: any).
-- Out: one row a job and hour, with the energy and the tokens of the joint time; left_out says why
-- an hour cannot be a sample (NULL: it can).
WITH
chosen AS (
    SELECT h.*, j.model, j.gpu, j.workload
    FROM job_hour_index AS h
    JOIN job_index AS j USING (job_id)
    WHERE
        ($job::VARCHAR IS NULL OR h.job_id = $job::VARCHAR)
        AND ($model::VARCHAR IS NULL OR j.model = $model::VARCHAR)
        AND h.hour_us >= coalesce($since::BIGINT, 0)
        AND h.hour_us < coalesce($until::BIGINT, 9000000000000000)
),
held AS (
    SELECT DISTINCT l.job_id, l.hour_us, l.device_id
    FROM ledger_hour AS l
    JOIN chosen USING (job_id, hour_us)
    WHERE l.device_us > 0
),
limited AS (
    SELECT
        h.job_id,
        h.hour_us,
        count(DISTINCT h.device_id) AS boards,
        min(d.limit_mw) AS limit_low_mw,
        max(d.limit_mw) AS limit_high_mw
    FROM held AS h
    LEFT JOIN device_at AS d
        ON d.device_id = h.device_id
        AND d.from_us < h.hour_us + us_per_hour()
        AND d.to_us > h.hour_us
    GROUP BY h.job_id, h.hour_us
)
SELECT
    c.job_id,
    c.hour_us,
    c.model,
    c.gpu,
    c.workload,
    coalesce(l.boards, 0)::BIGINT AS boards,
    l.limit_low_mw,
    l.limit_high_mw,
    coalesce(c.joint_us, 0) AS device_us,
    coalesce(c.n_joint_prompt_computed, 0) AS prompt,
    coalesce(c.n_joint, 0) AS tokens,
    c.n_joint_low AS tokens_low,
    c.n_joint_high AS tokens_high,
    c.e_joint_nj AS energy_nj,
    CASE
        WHEN c.workload NOT IN ('inference', 'training') THEN 'no_tokens'
        WHEN coalesce(c.n_joint, 0) = 0 THEN 'no_tokens'
        WHEN c.e_joint_nj IS NULL THEN 'no_energy'
        WHEN contains(c.reason_codes, 'shared_estimate') THEN 'shared_estimate'
        WHEN coalesce(c.joint_coverage, 0) < least_joint_coverage() THEN 'low_joint_coverage'
    END AS left_out,
    c.emulated
FROM chosen AS c
LEFT JOIN limited AS l USING (job_id, hour_us)
ORDER BY c.job_id, c.hour_us
