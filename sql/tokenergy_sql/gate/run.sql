-- One job as a run: what it made and drew while both its energy and its tokens were known.
-- In: job_index, allocation; $job. Out: one row, none if the job is not indexed. duration_s is wall
-- time: joint device time over the mean number of boards held. label: what the benchmark's file
-- said (a JSON object), NULL if the job is none or has several runs.
WITH
held AS (
    SELECT
        a.start_us,
        coalesce(a.end_us, j.end_us, j.as_of_us) AS end_us,
        a.labels
    FROM allocation AS a
    JOIN job_index AS j USING (job_id)
    WHERE a.job_id = $job::VARCHAR
),
-- Boards held at once are one stretch of time, and so are stretches that touch.
apart AS (
    SELECT
        start_us,
        end_us,
        start_us > coalesce(max(end_us) OVER before, start_us - 1) AS begins
    FROM held
    WHERE end_us > start_us
    WINDOW before AS (ORDER BY start_us, end_us ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
),
stretch AS (
    SELECT min(start_us) AS start_us, max(end_us) AS end_us
    FROM (
        SELECT
            *,
            count(*) FILTER (WHERE begins) OVER (ORDER BY start_us, end_us) AS nth
        FROM apart
    )
    GROUP BY nth
),
wall AS (
    SELECT sum(end_us - start_us)::BIGINT AS wall_us FROM stretch
),
told AS (
    SELECT CASE WHEN count(DISTINCT start_us) = 1 THEN any_value(labels) END AS label
    FROM held
    WHERE try_cast(labels AS JSON) ->> 'benchmark' IS NOT NULL
)
SELECT
    j.job_id,
    j.workload,
    j.model,
    j.gpu,
    j.devices,
    j.start_us,
    j.end_us,
    seconds(j.joint_us * w.wall_us / nullif(j.device_us, 0)) AS duration_s,
    j.n_joint AS tokens,
    j.n_joint_low AS tokens_low,
    j.n_joint_high AS tokens_high,
    j.n_joint_prompt_computed AS prompt_tokens,
    coalesce(try_cast(label ->> 'requests' AS BIGINT), j.n_joint_requests) AS requests,
    coalesce(
        try_cast(label ->> 'requests_failed' AS BIGINT), j.n_requests_failed
    ) AS requests_failed,
    try_cast(label ->> 'ttft_median_ms' AS DOUBLE) AS ttft_median_ms,
    try_cast(label ->> 'ttft_p99_ms' AS DOUBLE) AS ttft_p99_ms,
    try_cast(label ->> 'e2e_median_ms' AS DOUBLE) AS latency_median_ms,
    try_cast(label ->> 'e2e_p99_ms' AS DOUBLE) AS latency_p99_ms,
    j.e_joint_nj,
    joules(j.e_joint_nj) AS gpu_j,
    coalesce(j.te_gpu_out, j.te_train) AS j_per_token,
    j.te_gpu_low AS j_per_token_low,
    j.te_gpu_high AS j_per_token_high,
    -- Bounds of a meter's own error are those of all energy of the job, all of it metered.
    coalesce(
        j.e_joint_nj = j.e_gpu_nj AND j.covered_us = j.device_us
        AND coalesce(j.unseen_us, 0) = 0, false
    ) AS is_whole,
    j.reason_codes,
    j.emulated
FROM job_index AS j, wall AS w, told
WHERE j.job_id = $job::VARCHAR
