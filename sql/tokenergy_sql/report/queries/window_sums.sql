-- The sums of each job over the hours of a window.
-- In: job_hour_index (of the window), job_index. Out: what `models/indices.sql` reads as `sums`,
-- one row a job, and hour_versions.
--
-- Added as `models/job_sums.sql` adds the hours of a whole job, with two differences: bounds of
-- tokens are those of the hours, since a window has edges of its own; and errors of hours are
-- added, by squares only within an hour.
SELECT
    job_id,
    sum(device_us)::BIGINT AS device_us,
    sum(covered_us)::BIGINT AS covered_us,
    sum(unseen_us)::BIGINT AS unseen_us,
    sum(token_us)::BIGINT AS token_us,
    sum(joint_us)::BIGINT AS joint_us,
    -- Sums are stored as DECIMAL, which DuckDB divides as DOUBLE.
    sum(e_gpu_nj)::HUGEINT AS e_gpu_nj,
    sum(e_gpu_low_nj)::HUGEINT AS e_gpu_low_nj,
    sum(e_gpu_high_nj)::HUGEINT AS e_gpu_high_nj,
    sum(e_gpu_active_nj)::HUGEINT AS e_gpu_active_nj,
    sum(e_gpu_rss_low_nj)::HUGEINT AS e_gpu_rss_low_nj,
    sum(e_gpu_rss_high_nj)::HUGEINT AS e_gpu_rss_high_nj,
    -- A boundary that is unknown in one of the hours is unknown for the window. An hour in which
    -- nothing metered the GPUs counts with its lower bound, here as in e_gpu_nj; one in which the
    -- job held next to nothing has next to nothing that could be unknown.
    CASE WHEN bool_and(e_host_nj IS NOT NULL OR device_us = 0) THEN sum(e_host_nj)::HUGEINT END
        AS e_host_nj,
    CASE
        WHEN bool_and(e_host_nj IS NOT NULL OR device_us = 0)
            THEN sum(coalesce(e_host_low_nj, e_host_nj))::HUGEINT
    END AS e_host_low_nj,
    CASE
        WHEN
            bool_and(e_host_nj IS NOT NULL OR device_us = 0)
            AND bool_and(e_host_nj IS NULL OR e_host_low_nj IS NULL OR e_host_high_nj IS NOT NULL)
            THEN
                sum(
                    CASE WHEN e_host_low_nj IS NULL THEN e_host_nj ELSE e_host_high_nj END
                )::HUGEINT
    END AS e_host_high_nj,
    list_distinct(flatten(
        list(string_split(host_method, '+')) FILTER (WHERE device_us > 0)
    )) AS host_methods,
    count(e_gpu_nj) > 0 AND bool_and(e_facility_low_nj IS NOT NULL OR device_us = 0) AS bounded,
    CASE
        WHEN bounded THEN coalesce(sum(coalesce(e_facility_nj, e_facility_low_nj)), 0)::HUGEINT
    END AS e_facility_nj,
    CASE WHEN bounded THEN coalesce(sum(e_facility_low_nj), 0)::HUGEINT END AS e_facility_low_nj,
    CASE
        WHEN bounded AND count(e_facility_high_nj) = count(e_facility_low_nj)
            THEN coalesce(sum(e_facility_high_nj), 0)::HUGEINT
    END AS e_facility_high_nj,
    sum(e_gpu_burdened_nj)::HUGEINT AS e_gpu_burdened_nj,
    CASE
        WHEN bool_and(e_facility_burdened_nj IS NOT NULL OR device_us = 0)
            THEN sum(e_facility_burdened_nj)::HUGEINT
    END AS e_facility_burdened_nj,
    sum(counter_nj)::HUGEINT AS counter_nj,
    sum(counted_integral_nj)::HUGEINT AS counted_integral_nj,
    max(max_gap_us) AS max_gap_us,
    sum(n_prompt_computed)::BIGINT AS n_prompt_computed,
    sum(n_prompt_cached)::BIGINT AS n_prompt_cached,
    sum(n_generated)::BIGINT AS n_generated,
    sum(n_trained)::BIGINT AS n_trained,
    -- Hours of a mixed job may divide by different kinds of token.
    any_value(j.workload) = 'mixed' AS mixed,
    CASE WHEN NOT mixed THEN sum(n_low)::BIGINT END AS n_low,
    CASE WHEN NOT mixed THEN sum(n_high)::BIGINT END AS n_high,
    CASE WHEN NOT mixed THEN sum(n_joint)::BIGINT END AS n_joint,
    CASE WHEN NOT mixed THEN sum(n_joint_low)::BIGINT END AS n_joint_low,
    CASE WHEN NOT mixed THEN sum(n_joint_high)::BIGINT END AS n_joint_high,
    sum(n_joint_prompt_computed)::BIGINT AS n_joint_prompt_computed,
    sum(n_joint_prompt_cached)::BIGINT AS n_joint_prompt_cached,
    sum(e_joint_nj)::HUGEINT AS e_joint_nj,
    sum(e_joint_low_nj)::HUGEINT AS e_joint_low_nj,
    sum(e_joint_high_nj)::HUGEINT AS e_joint_high_nj,
    sum(e_joint_rss_low_nj)::HUGEINT AS e_joint_rss_low_nj,
    sum(e_joint_rss_high_nj)::HUGEINT AS e_joint_rss_high_nj,
    sum(e_joint_burdened_nj)::HUGEINT AS e_joint_burdened_nj,
    -- As above, of the hours that have a part in the ratios.
    bool_and(e_joint_facility_nj IS NOT NULL OR e_joint_nj IS NULL OR joint_us = 0)
        AS joint_bounded,
    CASE WHEN joint_bounded THEN sum(e_joint_facility_nj)::HUGEINT END AS e_joint_facility_nj,
    CASE WHEN joint_bounded THEN sum(e_joint_facility_low_nj)::HUGEINT END
        AS e_joint_facility_low_nj,
    CASE
        WHEN
            joint_bounded AND count(e_joint_facility_high_nj) = count(e_joint_facility_low_nj)
            THEN sum(e_joint_facility_high_nj)::HUGEINT
    END AS e_joint_facility_high_nj,
    CASE
        WHEN
            bool_and(
                e_joint_facility_burdened_nj IS NOT NULL OR e_joint_nj IS NULL OR joint_us = 0
            )
            THEN sum(e_joint_facility_burdened_nj)::HUGEINT
    END AS e_joint_facility_burdened_nj,
    -- What an hour with a part in the ratio does not know of requests, the window does not.
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
    list_filter(
        list_sort(list_distinct(flatten(list(string_split(method, '+'))))), lambda x: x <> ''
    ) AS methods,
    list_filter(
        list_sort(list_distinct(flatten(list(string_split(facility_method, '+'))))),
        lambda x: x <> 'none'
    ) AS facility_methods,
    -- Reasons that follow from the sums are derived again from those of the window.
    list_filter(
        list_sort(list_distinct(flatten(list(string_split(h.reason_codes, ','))))),
        lambda x: x <> '' AND x NOT IN (
            'no_energy', 'no_allocation', 'no_tokens', 'zero_tokens', 'mixed_workload',
            'no_host_power', 'no_pue', 'unbounded_host',
            'partial_tokens', 'low_joint_coverage', 'running'
        )
    ) AS reasons,
    max(h.as_of_us) AS as_of_us,
    string_agg(DISTINCT h.index_version, ', ' ORDER BY h.index_version) AS hour_versions,
    sha256(string_agg(h.inputs_digest, '' ORDER BY hour_us)) AS inputs_digest
FROM job_hour_index AS h
JOIN (SELECT job_id, workload FROM job_index) AS j USING (job_id)
GROUP BY job_id
