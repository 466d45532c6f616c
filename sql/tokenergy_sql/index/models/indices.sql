-- The indices: ratios of exact sums. The same SQL serves hours and jobs.
-- In: sums (job_hour_sums or job_sums), job_facts, parameters. Out: the sums, joules, ratios and
-- audit columns.
--
-- tokenergy = facility energy / generated tokens (trained tokens for training), J per token. It is
-- this project's own definition. Inference and training are never mixed; a ratio with an unknown
-- part or without tokens is NULL, and reason_codes says why.
WITH
valued AS (
    SELECT
        s.*,
        coalesce(s.n_trained, 0) > 0 AS trains,
        coalesce(s.n_generated, 0) > 0 AS generates,
        coalesce(s.n_prompt_computed, 0) + coalesce(s.n_prompt_cached, 0) > 0 AS reads_prompts,
        f.emulated,
        f.running
    FROM sums AS s
    LEFT JOIN job_facts AS f USING (job_id)
),
denominated AS (
    SELECT
        *,
        CASE
            WHEN trains AND (generates OR reads_prompts) THEN NULL
            WHEN trains THEN n_trained
            WHEN generates THEN n_generated
        END AS n_index
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
        CASE WHEN generates AND NOT trains THEN joules(e_gpu_nj) / n_generated END AS te_gpu_out,
        CASE
            WHEN generates AND NOT trains AND n_prompt_computed IS NOT NULL
                THEN
                    joules(e_gpu_nj)
                    / (n_prompt_computed + coalesce(n_prompt_cached, 0) + n_generated)
        END AS te_gpu_total,
        CASE
            WHEN generates AND NOT trains AND n_prompt_computed IS NOT NULL
                THEN joules(e_gpu_nj) / (n_prompt_computed + n_generated)
        END AS te_gpu_total_uncached,
        CASE
            WHEN trains AND NOT generates AND NOT reads_prompts
                THEN joules(e_gpu_nj) / n_trained
        END AS te_train,
        CASE WHEN n_index IS NOT NULL THEN joules(e_gpu_low_nj) / n_high END AS te_gpu_low,
        CASE WHEN n_index IS NOT NULL AND n_low > 0 THEN joules(e_gpu_high_nj) / n_low END
            AS te_gpu_high,
        CASE WHEN n_index IS NOT NULL THEN joules(e_gpu_rss_low_nj) / n_high END AS te_rss_low,
        CASE WHEN n_index IS NOT NULL AND n_low > 0 THEN joules(e_gpu_rss_high_nj) / n_low END
            AS te_rss_high,
        CASE WHEN e_gpu_nj IS NOT NULL THEN joules(e_gpu_burdened_nj) / n_index END
            AS te_gpu_burdened,
        CASE WHEN e_facility_nj IS NOT NULL THEN joules(e_facility_burdened_nj) / n_index END
            AS tokenergy_burdened,
        joules(e_facility_nj) / n_index AS tokenergy,
        CASE WHEN n_index IS NOT NULL THEN joules(e_facility_low_nj) / n_high END AS te_low,
        CASE WHEN n_index IS NOT NULL AND n_low > 0 THEN joules(e_facility_high_nj) / n_low END
            AS te_high
    FROM denominated
)
SELECT
    * EXCLUDE (methods, reasons, trains, generates, reads_prompts, n_index, running, emulated),
    CASE WHEN tokenergy > 0 THEN j_per_kwh() / tokenergy END AS tokens_per_kwh,
    CASE WHEN e_gpu_active_nj > 0 THEN e_facility_j / e_gpu_active_j END AS boundary_ratio,
    CASE WHEN device_us > 0 THEN covered_us / device_us END AS coverage,
    seconds(max_gap_us) AS max_gap_s,
    CASE
        WHEN counter_nj > 0
            THEN abs(joules(counter_nj - counted_integral_nj)) / joules(counter_nj)
    END AS counter_rel_err,
    CASE WHEN e_facility_nj > 0 THEN e_gpu_j / e_facility_j END AS measured_share,
    CASE WHEN e_host_nj IS NULL THEN 'none' ELSE 'declared' END AS host_method,
    CASE WHEN e_facility_nj IS NULL THEN 'none' ELSE 'declared' END AS facility_method,
    array_to_string(methods, '+') AS method,
    array_to_string(list_filter(list_concat(reasons, [
        CASE WHEN e_gpu_nj IS NULL THEN 'no_energy' END,
        CASE WHEN n_generated IS NULL AND n_trained IS NULL THEN 'no_tokens' END,
        CASE
            WHEN n_index IS NULL AND (n_generated IS NOT NULL OR n_trained IS NOT NULL)
                THEN CASE WHEN trains THEN 'mixed_workload' ELSE 'zero_tokens' END
        END,
        CASE WHEN e_gpu_nj IS NOT NULL AND e_host_nj IS NULL THEN 'no_host_power' END,
        CASE WHEN e_host_nj IS NOT NULL AND e_facility_nj IS NULL THEN 'no_pue' END,
        -- An hour's figures are final, whatever the job does later.
        CASE WHEN running AND (SELECT hour_us FROM parameters) = 0 THEN 'running' END
    ]), lambda code: code IS NOT NULL), ',') AS reason_codes,
    coalesce(emulated, false) AS emulated,
    (SELECT index_version FROM parameters) AS index_version
FROM ratio
