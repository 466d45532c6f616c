-- The indices: ratios of exact sums. The same SQL serves hours and jobs.
-- In: sums (joint_hour or job_sums), job_facts, parameters. Out: the sums, joules, ratios and audit
-- columns.
--
-- tokenergy = facility energy / generated tokens (trained tokens for training), J per token. It is
-- this project's own definition. A ratio divides energy and tokens of the time in which both are
-- known (`joint`). Inference and training are never mixed; a ratio with an unknown part, without
-- tokens, or of less than a tenth of the job's time is NULL, and reason_codes says why.
WITH
valued AS (
    SELECT
        s.*,
        coalesce(s.n_trained, 0) > 0 AS trains,
        coalesce(s.n_generated, 0) > 0 AS generates,
        coalesce(s.n_prompt_computed, 0) + coalesce(s.n_prompt_cached, 0) > 0 AS reads_prompts,
        f.emulated,
        f.running,
        coalesce(f.devices, 0) > 0 AS listed,
        coalesce(f.workload, 'none') <> 'none' AS counted
    FROM sums AS s
    LEFT JOIN job_facts AS f USING (job_id)
),
denominated AS (
    SELECT
        *,
        trains AND (generates OR reads_prompts) AS mixes,
        generates OR trains AS counts,
        CASE WHEN device_us > 0 THEN covered_us / device_us END AS coverage,
        CASE
            WHEN device_us > 0 AND coalesce(n_generated, n_trained) IS NOT NULL
                THEN token_us / device_us
            WHEN device_us > 0 THEN 0.0
        END AS token_coverage,
        CASE WHEN device_us > 0 THEN joint_us / device_us END AS joint_coverage,
        coalesce(joint_coverage < least_joint_coverage(), false) AS sparse,
        CASE WHEN n_joint > 0 AND NOT mixes AND NOT sparse THEN n_joint END AS n_index
    FROM valued
),
ratio AS (
    SELECT
        *,
        joules(e_gpu_nj) AS e_gpu_j,
        joules(e_gpu_active_nj) AS e_gpu_active_j,
        joules(e_gpu_nj - e_gpu_active_nj) AS e_gpu_idle_j,
        joules(e_host_nj) AS e_host_j,
        joules(e_gpu_nj + e_host_nj) AS e_it_j,
        joules(e_facility_nj) AS e_facility_j,
        CASE WHEN generates THEN joules(e_joint_nj) / n_index END AS te_gpu_out,
        CASE
            WHEN generates
                THEN
                    joules(e_joint_nj)
                    / (n_joint_prompt_computed + coalesce(n_joint_prompt_cached, 0) + n_index)
        END AS te_gpu_total,
        CASE WHEN generates THEN joules(e_joint_nj) / (n_joint_prompt_computed + n_index) END
            AS te_gpu_total_uncached,
        CASE WHEN trains THEN joules(e_joint_nj) / n_index END AS te_train,
        CASE WHEN n_index IS NOT NULL THEN joules(e_joint_low_nj) / n_joint_high END AS te_gpu_low,
        CASE
            WHEN n_index IS NOT NULL AND n_joint_low > 0 THEN joules(e_joint_high_nj) / n_joint_low
        END
            AS te_gpu_high,
        CASE WHEN n_index IS NOT NULL THEN joules(e_joint_rss_low_nj) / n_joint_high END
            AS te_rss_low,
        CASE
            WHEN n_index IS NOT NULL AND n_joint_low > 0
                THEN joules(e_joint_rss_high_nj) / n_joint_low
        END AS te_rss_high,
        joules(e_joint_burdened_nj) / n_index AS te_gpu_burdened,
        CASE
            WHEN e_joint_facility_nj IS NOT NULL THEN joules(e_joint_facility_burdened_nj) / n_index
        END
            AS tokenergy_burdened,
        joules(e_joint_facility_nj) / n_index AS tokenergy,
        CASE WHEN n_index IS NOT NULL THEN joules(e_joint_facility_low_nj) / n_joint_high END
            AS te_low,
        CASE
            WHEN n_index IS NOT NULL AND n_joint_low > 0
                THEN joules(e_joint_facility_high_nj) / n_joint_low
        END AS te_high
    FROM denominated
),
-- Requests: see docs/index-definition.md. A server tells how many were within the SLO, not how many
-- tokens those had: tokens count in proportion.
requested AS (
    SELECT
        *,
        CASE
            WHEN n_index IS NOT NULL AND n_joint_requests > 0
                THEN joules(e_joint_nj) / n_joint_requests
        END AS j_per_request,
        CASE
            WHEN n_index IS NOT NULL AND n_joint_requests_high > 0
                THEN joules(e_joint_low_nj) / n_joint_requests_high
        END AS j_per_request_low,
        CASE
            WHEN n_index IS NOT NULL AND n_joint_requests_low > 0
                THEN joules(e_joint_high_nj) / n_joint_requests_low
        END AS j_per_request_high,
        CASE WHEN n_joint_requests > 0 THEN n_joint_good / n_joint_requests END AS slo_share,
        -- What edges leave open is in both: the share of what is surely counted, or not.
        CASE
            WHEN n_joint_requests > 0
                THEN least(n_joint_good_low / greatest(n_joint_requests_low, 1), slo_share)
        END AS slo_share_low,
        CASE
            WHEN n_joint_requests > 0
                THEN
                    greatest(
                        least(n_joint_good_high / greatest(n_joint_requests_low, 1), 1), slo_share
                    )
        END AS slo_share_high,
        CASE WHEN slo_share > 0 THEN te_gpu_out / slo_share END AS te_gpu_goodput,
        CASE WHEN slo_share_high > 0 AND te_gpu_out IS NOT NULL THEN te_gpu_low / slo_share_high END
            AS te_gpu_goodput_low,
        CASE WHEN slo_share_low > 0 AND te_gpu_out IS NOT NULL THEN te_gpu_high / slo_share_low END
            AS te_gpu_goodput_high
    FROM ratio
)
SELECT
    * EXCLUDE (
        methods, host_methods, facility_methods, reasons, trains, generates, reads_prompts, mixes,
        counts, sparse,
        n_index, running, listed, counted, emulated
    ),
    CASE WHEN tokenergy > 0 THEN j_per_kwh() / tokenergy END AS tokens_per_kwh,
    CASE WHEN e_gpu_active_nj > 0 THEN e_facility_j / e_gpu_active_j END AS boundary_ratio,
    seconds(max_gap_us) AS max_gap_s,
    CASE
        WHEN counter_nj > 0
            THEN abs(joules(counter_nj - counted_integral_nj)) / joules(counter_nj)
    END AS counter_rel_err,
    CASE
        WHEN e_facility_nj > 0 AND e_it_j > 0
            THEN
                CASE WHEN host_methods = ['measured'] THEN e_it_j ELSE e_gpu_j END
                / CASE WHEN facility_methods = ['measured'] THEN e_it_j ELSE e_facility_j END
    END AS measured_share,
    CASE
        WHEN e_host_nj IS NULL OR len(coalesce(host_methods, [])) = 0 THEN 'none'
        ELSE array_to_string(list_filter(
            ['measured', 'modelled', 'declared'], lambda one: list_contains(host_methods, one)
        ), '+')
    END AS host_method,
    CASE
        WHEN e_facility_nj IS NULL THEN 'none' ELSE array_to_string(facility_methods, '+')
    END AS facility_method,
    array_to_string(methods, '+') AS method,
    array_to_string(list_filter(list_concat(reasons, [
        CASE
            WHEN e_gpu_nj IS NULL
                THEN CASE WHEN listed THEN 'no_energy' ELSE 'no_allocation' END
        END,
        CASE WHEN n_generated IS NULL AND n_trained IS NULL AND NOT counted THEN 'no_tokens' END,
        CASE WHEN mixes THEN 'mixed_workload' END,
        CASE
            WHEN NOT counts AND (n_generated IS NOT NULL OR n_trained IS NOT NULL)
                THEN 'zero_tokens'
        END,
        -- A scrape more or less at the job's ends is no loss worth a word.
        CASE
            WHEN counted AND device_us > 0 AND coalesce(token_coverage, 0) < 0.99
                THEN 'partial_tokens'
            -- Counters of a job that holds nothing, read only once.
            WHEN counted AND n_generated IS NULL AND n_trained IS NULL THEN 'partial_tokens'
        END,
        CASE WHEN sparse AND counts AND e_gpu_nj IS NOT NULL THEN 'low_joint_coverage' END,
        CASE
            WHEN
                e_gpu_nj IS NOT NULL
                -- The upper bound alone is unknown where that of an unseen node is.
                AND (
                    e_host_nj IS NULL
                    OR (
                        e_facility_low_nj IS NOT NULL AND e_facility_high_nj IS NULL
                        AND e_host_high_nj IS NOT NULL
                        AND NOT list_contains(reasons, 'no_pue_bound')
                    )
                )
                THEN 'no_host_power'
        END,
        CASE WHEN e_host_nj IS NOT NULL AND e_host_high_nj IS NULL THEN 'unbounded_host' END,
        CASE
            WHEN e_gpu_nj IS NOT NULL AND e_host_nj IS NOT NULL AND e_facility_nj IS NULL
                THEN 'no_pue'
        END,
        -- An hour's figures are final, whatever the job does later.
        CASE WHEN running AND (SELECT hour_us FROM parameters) = 0 THEN 'running' END
    ]), lambda code: code IS NOT NULL), ',') AS reason_codes,
    coalesce(emulated, false) AS emulated,
    (SELECT index_version FROM parameters) AS index_version
FROM requested
