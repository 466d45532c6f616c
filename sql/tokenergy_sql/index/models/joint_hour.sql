-- The exact sums of each job in each hour, with those of the time in which energy and tokens are
-- known. In: hour_sums (job_hour_sums), job_time, job_joint, unseen_host. Out: the sums of the
-- contract, and methods, facility_methods and reasons as lists.
--
-- A ratio of energy and tokens divides what was known together. Where that is all of the job's time
-- in the hour, these sums are those of the hour. Where it is not, they are those of `job_joint`;
-- energy of hosts and of idle boards follows the device time, and uncertainty that adds up by
-- squares follows the energy.
WITH
counted AS (
    SELECT
        s.*,
        coalesce(t.whole, true) AS whole,
        CASE WHEN whole THEN 1 ELSE t.joint_us END AS part_us,
        CASE WHEN whole THEN 1 ELSE greatest(s.device_us, 1) END AS all_us,
        t.joint_unseen_us,
        t.joint_unseen_high_nj,
        CASE s.index_kind WHEN 'trained' THEN s.n_trained WHEN 'generated' THEN s.n_generated END
            AS n_index,
        s.e_gpu_nj IS NOT NULL AND n_index IS NOT NULL AS paired
    FROM hour_sums AS s
    LEFT JOIN job_time AS t USING (job_id)
),
joint AS (
    SELECT
        c.*,
        CASE
            WHEN c.whole THEN c.covered_us
            ELSE
                greatest(c.part_us - c.joint_unseen_us - coalesce(j.device_us - j.covered_us, 0), 0)
        END::BIGINT AS joint_us,
        CASE WHEN c.whole THEN c.e_gpu_nj ELSE coalesce(j.energy_nj, 0) END AS gpu_nj,
        CASE WHEN c.whole THEN c.e_gpu_low_nj ELSE coalesce(j.low_nj, 0) END AS low_nj,
        CASE
            WHEN c.whole THEN c.e_gpu_high_nj
            ELSE coalesce(j.high_nj, 0) + c.joint_unseen_high_nj
        END AS high_nj,
        -- What the squares save at each end.
        (c.e_gpu_rss_low_nj - c.e_gpu_low_nj) * gpu_nj // greatest(c.e_gpu_nj, 1) AS saved_nj,
        c.e_host_nj * c.part_us // c.all_us AS host_nj,
        c.e_host_low_nj * c.part_us // c.all_us AS host_low_nj,
        c.e_host_high_nj * c.part_us // c.all_us AS host_high_nj,
        -- All that hosts may have drawn in unseen time may be of the joint time.
        CASE WHEN v.job_id IS NULL THEN 0 ELSE v.unseen_host_nj END AS unseen_host_nj,
        (c.e_gpu_burdened_nj - c.e_gpu_nj) * c.part_us // c.all_us AS burden_nj,
        (c.e_facility_burdened_nj - c.e_facility_nj) * c.part_us // c.all_us AS facility_burden_nj,
        CASE
            WHEN c.whole THEN c.n_index
            WHEN c.index_kind = 'trained' THEN coalesce(j.trained, 0)
            ELSE coalesce(j.generated, 0)
        END AS n,
        -- Where a reading was left out, what it may have counted may be of the joint time.
        CASE
            WHEN c.whole THEN c.n_low
            WHEN list_contains(c.reasons, 'token_anomaly') THEN greatest(n - c.n_index + c.n_low, 0)
            WHEN c.index_kind = 'trained' THEN coalesce(j.trained_low, 0)
            ELSE coalesce(j.generated_low, 0)
        END AS n_least,
        CASE
            WHEN c.whole OR list_contains(c.reasons, 'token_anomaly') THEN c.n_high
            WHEN c.index_kind = 'trained' THEN coalesce(j.trained_high, 0)
            ELSE coalesce(j.generated_high, 0)
        END AS n_most,
        CASE
            WHEN c.whole THEN c.n_prompt_computed
            WHEN c.n_prompt_computed IS NOT NULL THEN coalesce(j.prompt_computed, 0)
        END AS prompt_computed,
        CASE
            WHEN c.whole THEN c.n_prompt_cached
            WHEN c.n_prompt_cached IS NOT NULL THEN coalesce(j.prompt_cached, 0)
        END AS prompt_cached
    FROM counted AS c
    LEFT JOIN job_joint AS j USING (job_id)
    LEFT JOIN unseen_host AS v USING (job_id)
)
SELECT
    * EXCLUDE (
        index_kind,
        silent,
        n_index,
        paired,
        whole,
        part_us,
        all_us,
        joint_unseen_us,
        joint_unseen_high_nj,
        gpu_nj, low_nj, high_nj, saved_nj, host_nj, host_low_nj, host_high_nj, unseen_host_nj,
        burden_nj, facility_burden_nj, least_ppb, most_ppb, n, n_least, n_most,
        prompt_computed, prompt_cached
    ),
    CASE WHEN paired THEN gpu_nj END AS e_joint_nj,
    CASE WHEN paired THEN low_nj END AS e_joint_low_nj,
    CASE WHEN paired THEN high_nj END AS e_joint_high_nj,
    CASE WHEN paired THEN low_nj + saved_nj END AS e_joint_rss_low_nj,
    CASE WHEN paired THEN high_nj - saved_nj END AS e_joint_rss_high_nj,
    CASE WHEN paired THEN scale_ppb(gpu_nj + host_nj, pue_ppb) END AS e_joint_facility_nj,
    CASE
        WHEN NOT paired THEN NULL
        WHEN whole THEN e_facility_low_nj
        ELSE scale_ppb(low_nj + host_low_nj, least_ppb)
    END AS e_joint_facility_low_nj,
    CASE
        WHEN NOT paired THEN NULL
        WHEN whole THEN e_facility_high_nj
        ELSE
            scale_ppb(
                high_nj + host_high_nj + unseen_host_nj,
                CASE WHEN pue_high_ppb > most_ppb THEN pue_high_ppb ELSE most_ppb END
            ) + 1
    END
        AS e_joint_facility_high_nj,
    CASE WHEN paired THEN gpu_nj + burden_nj END AS e_joint_burdened_nj,
    CASE WHEN paired THEN e_joint_facility_nj + facility_burden_nj END
        AS e_joint_facility_burdened_nj,
    CASE WHEN paired THEN n END AS n_joint,
    CASE WHEN paired THEN n_least END AS n_joint_low,
    CASE WHEN paired THEN n_most END AS n_joint_high,
    CASE WHEN paired THEN prompt_computed END AS n_joint_prompt_computed,
    CASE WHEN paired THEN prompt_cached END AS n_joint_prompt_cached
FROM joint
