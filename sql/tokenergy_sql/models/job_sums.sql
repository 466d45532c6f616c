-- The exact sums of each job: those of its hours, added.
-- In: job_hour_index, ledger_hour, allocation. Out: the same columns as job_hour_sums, without the hour.
-- Jobs that were allocated and never metered nor counted stand here with NULL.
WITH
added AS (
    SELECT
        job_id,
        sum(device_us)::BIGINT AS device_us,
        sum(covered_us)::BIGINT AS covered_us,
        sum(e_gpu_nj) AS e_gpu_nj,
        sum(e_gpu_low_nj) AS e_gpu_low_nj,
        sum(e_gpu_high_nj) AS e_gpu_high_nj,
        sum(e_gpu_active_nj) AS e_gpu_active_nj,
        -- A boundary that is unknown in one of the job's hours is unknown for the job. An hour in
        -- which nothing metered the GPUs counts with its lower bound, here as in e_gpu_nj.
        CASE WHEN count(e_host_nj) = count(*) FILTER (WHERE device_us > 0) THEN sum(e_host_nj) END
            AS e_host_nj,
        count(e_gpu_nj) > 0
            AND count(e_facility_low_nj) = count(*) FILTER (WHERE device_us > 0) AS bounded,
        CASE WHEN bounded THEN sum(coalesce(e_facility_nj, e_facility_low_nj)) END
            AS e_facility_nj,
        CASE WHEN bounded THEN sum(e_facility_low_nj) END AS e_facility_low_nj,
        CASE WHEN bounded THEN sum(e_facility_high_nj) END AS e_facility_high_nj,
        sum(e_gpu_burdened_nj) AS e_gpu_burdened_nj,
        CASE WHEN count(e_facility_burdened_nj) = count(*) FILTER (WHERE device_us > 0)
            THEN sum(e_facility_burdened_nj)
        END AS e_facility_burdened_nj,
        sum(counter_nj) AS counter_nj,
        sum(counted_integral_nj) AS counted_integral_nj,
        max(max_gap_us) AS max_gap_us,
        sum(n_prompt_computed)::BIGINT AS n_prompt_computed,
        sum(n_prompt_cached)::BIGINT AS n_prompt_cached,
        sum(n_generated)::BIGINT AS n_generated,
        sum(n_trained)::BIGINT AS n_trained,
        sum(n_low)::BIGINT AS n_low,
        sum(n_high)::BIGINT AS n_high,
        list_sort(list_distinct(flatten(list(string_split(method, '+'))))) AS methods,
        list_sort(list_distinct(flatten(list(string_split(reason_codes, ','))))) AS reasons,
        max(as_of_us) AS as_of_us,
        sha256(string_agg(inputs_digest, '' ORDER BY hour_us)) AS inputs_digest
    FROM job_hour_index
    GROUP BY job_id
),
-- As in job_hour_sums, but a device's error is the same one in all hours.
device_span AS (
    SELECT
        job_id,
        device_id,
        sum(low_nj) AS low_nj,
        sum(high_nj) - sum(gap_high_nj) AS high_nj,
        sum(gap_high_nj) AS gap_nj
    FROM ledger_hour
    WHERE job_id IS NOT NULL
    GROUP BY ALL
),
spanned AS (
    SELECT
        job_id,
        -- In order: a sum of DOUBLE depends on it, and the same inputs give the same bytes.
        sqrt(sum(pow((high_nj - low_nj) / 2, 2) ORDER BY device_id)) AS radius_nj,
        floor(sum(low_nj + high_nj) / 2 - radius_nj)::HUGEINT AS e_gpu_rss_low_nj,
        ceil(sum(low_nj + high_nj) / 2 + radius_nj)::HUGEINT + sum(gap_nj) AS e_gpu_rss_high_nj
    FROM device_span
    GROUP BY ALL
),
allocated AS (
    SELECT DISTINCT job_id FROM allocation
)
SELECT
    job_id,
    COLUMNS(* EXCLUDE (
        job_id, device_us, covered_us, methods, reasons, inputs_digest, bounded, radius_nj
    )),
    coalesce(device_us, 0) AS device_us,
    coalesce(covered_us, 0) AS covered_us,
    list_filter(coalesce(methods, []), lambda x: x <> '') AS methods,
    -- Reasons that follow from the sums are found again from the job's own.
    list_filter(coalesce(reasons, []),
        lambda x: x IN ('gap', 'disputed', 'counter_flagged', 'shared_estimate')) AS reasons,
    coalesce(inputs_digest, sha256('')) AS inputs_digest
FROM added
LEFT JOIN spanned USING (job_id)
FULL JOIN allocated USING (job_id)
