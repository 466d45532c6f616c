-- The exact sums of each job: those of its hours, added.
-- In: job_hour_index, ledger_hour, device_now, allocation. Out: the columns of job_hour_sums,
-- without the hour.
--
-- A job that was allocated, and neither metered nor counted, has a row of NULLs.
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
        -- An hour in which the job held next to nothing (device_us rounds to 0) has next to nothing
        -- that could be unknown.
        CASE WHEN bool_and(e_host_nj IS NOT NULL OR device_us = 0) THEN sum(e_host_nj) END
            AS e_host_nj,
        count(e_gpu_nj) > 0 AND bool_and(e_facility_low_nj IS NOT NULL OR device_us = 0) AS bounded,
        CASE WHEN bounded THEN sum(coalesce(e_facility_nj, e_facility_low_nj)) END
            AS e_facility_nj,
        CASE WHEN bounded THEN sum(e_facility_low_nj) END AS e_facility_low_nj,
        CASE WHEN bounded THEN sum(e_facility_high_nj) END AS e_facility_high_nj,
        sum(e_gpu_burdened_nj) AS e_gpu_burdened_nj,
        CASE
            WHEN bool_and(e_facility_burdened_nj IS NOT NULL OR device_us = 0)
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
-- As in job_hour_sums: errors that come together are added, independent ones by squares.
card_span AS (
    SELECT
        job_id,
        device_id,
        sum(low_nj)::HUGEINT AS card_low_nj,
        sum(high_nj)::HUGEINT AS card_high_nj,
        -- A bound that was cut off at 0 leaves a narrower span than the errors would make.
        least(
            1.0, (sum(high_nj) - sum(low_nj))::DOUBLE
            / greatest(1.0, sum(own_nj + class_nj)::DOUBLE)
        ) AS left_of_it,
        sum(own_nj)::DOUBLE * left_of_it AS card_own_nj,
        sum(class_nj)::DOUBLE * left_of_it AS card_class_nj
    FROM ledger_hour
    WHERE job_id IS NOT NULL
    GROUP BY ALL
),
-- Ordered: a sum of DOUBLE depends on its order, and the same inputs must give the same bytes.
class_span AS (
    SELECT
        job_id,
        coalesce("name", '') AS board,
        sum(card_low_nj) AS board_low_nj,
        sum(card_high_nj) AS board_high_nj,
        sum(card_class_nj ORDER BY device_id) AS shared_nj,
        sum(card_own_nj ORDER BY device_id) AS alone_nj,
        sum(card_own_nj * card_own_nj ORDER BY device_id) AS alone_squared
    FROM card_span
    LEFT JOIN (SELECT device_id, "name" FROM device_now) USING (device_id)
    GROUP BY ALL
),
saved AS (
    SELECT
        job_id,
        sum(board_low_nj) AS low_nj,
        sum(board_high_nj) AS high_nj,
        sum(alone_nj + shared_nj ORDER BY board) AS added_nj,
        sqrt(3 * sum(alone_squared + shared_nj * shared_nj ORDER BY board)) AS squares_nj
    FROM class_span
    GROUP BY ALL
),
spanned AS (
    SELECT
        job_id,
        greatest(0, floor((added_nj - squares_nj) / 2))::HUGEINT AS each_nj,
        low_nj + each_nj AS e_gpu_rss_low_nj,
        high_nj - each_nj AS e_gpu_rss_high_nj
    FROM saved
),
allocated AS (
    SELECT DISTINCT job_id FROM allocation
)
SELECT
    job_id,
    COLUMNS(* EXCLUDE (
        job_id, device_us, covered_us, methods, reasons, inputs_digest, bounded, each_nj
    )),
    coalesce(device_us, 0) AS device_us,
    coalesce(covered_us, 0) AS covered_us,
    list_filter(coalesce(methods, []), lambda x: x <> '') AS methods,
    -- Reasons that follow from the sums are derived again from the job's own sums.
    list_filter(
        coalesce(reasons, []),
        lambda x: x IN (
            'gap', 'disputed', 'counter_flagged', 'shared_estimate', 'contended', 'calibrated'
        )
    ) AS reasons,
    coalesce(inputs_digest, sha256('')) AS inputs_digest
FROM added
LEFT JOIN spanned USING (job_id)
FULL JOIN allocated USING (job_id)
