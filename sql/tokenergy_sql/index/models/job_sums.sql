-- The exact sums of each job: those of its hours, added.
-- In: job_hour_index, token_job, ledger_hour, device_now, allocation, job_facts, claim_beyond,
-- site. Out: the columns of joint_hour, without the hour.
--
-- A job that was allocated, and neither metered nor counted, has a row of NULLs.
WITH
counted AS (
    SELECT
        h.*,
        f.workload,
        CASE f.workload WHEN 'training' THEN n_trained WHEN 'inference' THEN n_generated END
            AS n_index,
        t.tokens AS whole_tokens,
        t.low AS whole_low,
        t.high AS whole_high
    FROM job_hour_index AS h
    LEFT JOIN (SELECT job_id, workload FROM job_facts) AS f USING (job_id)
    LEFT JOIN token_job AS t
        ON t.job_id = h.job_id
        AND t.kind
        = CASE f.workload WHEN 'training' THEN 'trained' WHEN 'inference' THEN 'generated' END
),
added AS (
    SELECT
        job_id,
        sum(device_us)::BIGINT AS device_us,
        sum(covered_us)::BIGINT AS covered_us,
        -- Sums are stored as DECIMAL, which DuckDB divides as DOUBLE.
        sum(e_gpu_nj)::HUGEINT AS e_gpu_nj,
        sum(e_gpu_low_nj)::HUGEINT AS e_gpu_low_nj,
        sum(e_gpu_high_nj)::HUGEINT AS e_gpu_high_nj,
        sum(e_gpu_active_nj) AS e_gpu_active_nj,
        -- A boundary that is unknown in one of the job's hours is unknown for the job. An hour in
        -- which nothing metered the GPUs counts with its lower bound, here as in e_gpu_nj.
        -- An hour in which the job held next to nothing (device_us rounds to 0) has next to nothing
        -- that could be unknown.
        bool_and(e_host_nj IS NOT NULL OR device_us = 0) AS hosted,
        CASE WHEN hosted THEN sum(e_host_nj) END AS e_host_nj,
        CASE WHEN hosted THEN sum(coalesce(e_host_low_nj, e_host_nj)) END AS e_host_low_nj,
        -- Older rows have no bounds: what was declared was taken as it is.
        CASE
            WHEN
                hosted AND bool_and(
                    e_host_nj IS NULL OR e_host_low_nj IS NULL OR e_host_high_nj IS NOT NULL
                )
                THEN sum(CASE WHEN e_host_low_nj IS NULL THEN e_host_nj ELSE e_host_high_nj END)
        END AS e_host_high_nj,
        list_distinct(flatten(
            list(string_split(host_method, '+')) FILTER (WHERE device_us > 0)
        )) AS host_methods,
        count(e_gpu_nj) > 0 AND bool_and(e_facility_low_nj IS NOT NULL OR device_us = 0) AS bounded,
        list_sort(list_distinct(flatten(list(string_split(facility_method, '+')) FILTER (
            WHERE facility_method <> 'none'
        )))) AS facility_methods,
        CASE WHEN bounded THEN coalesce(sum(coalesce(e_facility_nj, e_facility_low_nj)), 0) END
            AS e_facility_nj,
        CASE WHEN bounded THEN coalesce(sum(e_facility_low_nj), 0) END AS e_facility_low_nj,
        -- An upper bound that is unknown in one hour is unknown: see unseen_host.
        CASE
            WHEN bounded AND count(e_facility_high_nj) = count(e_facility_low_nj)
                THEN coalesce(sum(e_facility_high_nj), 0)::HUGEINT
        END AS e_facility_high_nj,
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
        -- Hours of a mixed job may divide by different kinds of token.
        coalesce(any_value(workload) = 'mixed', false) AS mixed,
        -- Bounds from the job's own edges, where its hours count the same tokens. What hours leave
        -- uncertain at their inner edges is not added up.
        coalesce(any_value(whole_tokens) = sum(n_index), false) AS telescopes,
        CASE
            WHEN telescopes THEN any_value(whole_low)
            WHEN NOT mixed THEN sum(n_low)::BIGINT
        END AS n_low,
        CASE
            WHEN telescopes THEN any_value(whole_high)
            WHEN NOT mixed THEN sum(n_high)::BIGINT
        END AS n_high,
        sum(unseen_us)::BIGINT AS unseen_us,
        sum(token_us)::BIGINT AS token_us,
        sum(joint_us)::BIGINT AS joint_us,
        sum(e_joint_nj)::HUGEINT AS e_joint_nj,
        sum(e_joint_low_nj)::HUGEINT AS e_joint_low_nj,
        sum(e_joint_high_nj)::HUGEINT AS e_joint_high_nj,
        sum(e_joint_burdened_nj) AS e_joint_burdened_nj,
        -- As above, of the hours that have a part in the ratios.
        bool_and(e_joint_facility_nj IS NOT NULL OR e_joint_nj IS NULL OR joint_us = 0)
            AS joint_bounded,
        CASE WHEN joint_bounded THEN sum(e_joint_facility_nj) END AS e_joint_facility_nj,
        CASE WHEN joint_bounded THEN sum(e_joint_facility_low_nj) END AS e_joint_facility_low_nj,
        CASE
            WHEN
                joint_bounded
                AND count(e_joint_facility_high_nj) = count(e_joint_facility_low_nj)
                THEN sum(e_joint_facility_high_nj)
        END AS e_joint_facility_high_nj,
        CASE
            WHEN
                bool_and(
                    e_joint_facility_burdened_nj IS NOT NULL OR e_joint_nj IS NULL OR joint_us = 0
                )
                THEN sum(e_joint_facility_burdened_nj)
        END AS e_joint_facility_burdened_nj,
        CASE WHEN NOT mixed THEN sum(n_joint)::BIGINT END AS n_joint,
        coalesce(
            telescopes AND sum(n_joint) = sum(n_index)
            AND sum(n_joint_low) = sum(n_low) AND sum(n_joint_high) = sum(n_high), false
        ) AS all_joint,
        CASE
            WHEN all_joint THEN any_value(whole_low)
            WHEN NOT mixed THEN sum(n_joint_low)::BIGINT
        END AS n_joint_low,
        CASE
            WHEN all_joint THEN any_value(whole_high)
            WHEN NOT mixed THEN sum(n_joint_high)::BIGINT
        END AS n_joint_high,
        sum(n_joint_prompt_computed)::BIGINT AS n_joint_prompt_computed,
        sum(n_joint_prompt_cached)::BIGINT AS n_joint_prompt_cached,
        -- As of the tokens: what an hour with a part in the ratio does not know, the job does not.
        sum(n_requests)::BIGINT AS n_requests,
        sum(n_requests_failed)::BIGINT AS n_requests_failed,
        bool_and(n_joint_requests IS NOT NULL OR e_joint_nj IS NULL OR joint_us = 0) AS requested,
        CASE WHEN requested THEN sum(n_joint_requests)::BIGINT END AS n_joint_requests,
        CASE WHEN requested THEN sum(n_joint_requests_low)::BIGINT END AS n_joint_requests_low,
        CASE WHEN requested THEN sum(n_joint_requests_high)::BIGINT END AS n_joint_requests_high,
        requested AND bool_and(n_joint_good IS NOT NULL OR coalesce(n_joint_requests_high, 0) = 0)
            AS judged,
        CASE WHEN judged THEN sum(n_joint_good)::BIGINT END AS n_joint_good,
        CASE WHEN judged THEN sum(n_joint_good_low)::BIGINT END AS n_joint_good_low,
        CASE WHEN judged THEN sum(n_joint_good_high)::BIGINT END AS n_joint_good_high,
        CASE WHEN judged THEN string_agg(DISTINCT slo, '+' ORDER BY slo) END AS slo,
        CASE
            WHEN judged
                THEN
                    nullif(array_to_string(list_sort(list_distinct(flatten(list(
                        string_split(slo_method, '+')
                    ) FILTER (WHERE slo_method IS NOT NULL)))), '+'), '')
        END AS slo_method,
        list_sort(list_distinct(flatten(list(string_split(method, '+'))))) AS methods,
        list_sort(list_distinct(flatten(list(string_split(reason_codes, ','))))) AS reasons,
        max(as_of_us) AS as_of_us,
        sha256(string_agg(inputs_digest, '' ORDER BY hour_us)) AS inputs_digest
    FROM counted
    GROUP BY job_id
),
-- As in job_hour_sums: errors that come together are added, independent ones by squares.
card_span AS (
    SELECT
        job_id,
        device_id,
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
        sum(alone_nj + shared_nj ORDER BY board) AS added_nj,
        sqrt(3 * sum(alone_squared + shared_nj * shared_nj ORDER BY board)) AS squares_nj
    FROM class_span
    GROUP BY ALL
),
spanned AS (
    SELECT
        job_id,
        greatest(0, floor((added_nj - squares_nj) / 2))::HUGEINT AS each_nj
    FROM saved
),
allocated AS (
    SELECT DISTINCT job_id FROM allocation
)
SELECT
    job_id,
    COLUMNS(* EXCLUDE (
        job_id, device_us, covered_us, unseen_us, token_us, joint_us,
        e_gpu_low_nj, e_gpu_high_nj, e_facility_high_nj,
        methods,
        facility_methods,
        reasons,
        inputs_digest,
        hosted,
        bounded,
        joint_bounded,
        mixed,
        telescopes,
        all_joint,
        requested,
        judged,
        each_nj,
        beyond_us,
        beyond_high_nj,
        beyond_host_nj
    )),
    coalesce(device_us, 0) + coalesce(beyond_us, 0) AS device_us,
    coalesce(unseen_us, 0) + coalesce(beyond_us, 0) AS unseen_us,
    coalesce(covered_us, 0) AS covered_us,
    coalesce(token_us, 0) AS token_us,
    coalesce(joint_us, 0) AS joint_us,
    -- Time that nothing recorded, in derived hours and beyond them, has no lower bound but 0.
    coalesce(e_gpu_low_nj, CASE WHEN beyond_us > 0 THEN 0 END) AS e_gpu_low_nj,
    coalesce(e_gpu_high_nj + beyond_high_nj, e_gpu_high_nj, beyond_high_nj) AS e_gpu_high_nj,
    e_facility_high_nj + CASE
        WHEN beyond_us > 0 THEN scale_ppm(beyond_high_nj + beyond_host_nj, site.pue_ppm)
        ELSE 0
    END AS e_facility_high_nj,
    e_gpu_low_nj + each_nj AS e_gpu_rss_low_nj,
    e_gpu_high_nj + coalesce(beyond_high_nj, 0) - each_nj AS e_gpu_rss_high_nj,
    -- Errors that add up by squares are in proportion to the energy.
    each_nj::HUGEINT * e_joint_nj::HUGEINT // greatest(e_gpu_nj, 1)::HUGEINT AS joint_each_nj,
    e_joint_low_nj + joint_each_nj AS e_joint_rss_low_nj,
    e_joint_high_nj - joint_each_nj AS e_joint_rss_high_nj,
    list_filter(coalesce(methods, []), lambda x: x <> '') AS methods,
    coalesce(facility_methods, []) AS facility_methods,
    -- Reasons that follow from the sums are derived again from the job's own sums.
    list_distinct(list_filter(
        list_append(
            coalesce(reasons, []),
            CASE
                WHEN coalesce(unseen_us, 0) + coalesce(beyond_us, 0) > 0 AND e_gpu_nj IS NOT NULL
                    THEN 'gap'
            END
        ),
        lambda x: x <> '' AND x NOT IN (
            'no_energy', 'no_allocation', 'no_tokens', 'zero_tokens', 'mixed_workload',
            'no_host_power', 'no_pue', 'unbounded_host',
            'partial_tokens', 'low_joint_coverage', 'running'
        )
    )) AS reasons,
    coalesce(inputs_digest, sha256('')) AS inputs_digest
FROM added
LEFT JOIN spanned USING (job_id)
FULL JOIN allocated USING (job_id)
LEFT JOIN claim_beyond USING (job_id)
CROSS JOIN site
