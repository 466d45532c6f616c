-- J/token by workload, and by workload, model and board: sum of energy over sum of tokens, never a
-- mean of ratios. In: job_sum. Out: one row per group; `fleet` is true for a whole workload.
-- Energy and tokens of the time in which both are known; of less than half of the device time there
-- is no ratio. A job counts if it has such a time; `jobs` counts all of the group.
-- The facility's figure needs the facility energy of each job that counts.
WITH job AS (
    SELECT
        *,
        e_joint_nj IS NOT NULL AND n_joint IS NOT NULL AS counts
    FROM job_sum
    WHERE workload IN ('inference', 'training')
),
total AS (
    SELECT
        workload,
        model,
        gpu,
        grouping(model) = 1 AS fleet,
        count(*) AS jobs,
        count(*) FILTER (WHERE counts) AS counted,
        count(*) FILTER (WHERE counts AND e_joint_facility_nj IS NOT NULL) AS with_facility,
        sum(device_us) FILTER (WHERE counts)::BIGINT AS device_us,
        coalesce(sum(joint_us) < least_joint_coverage() * sum(device_us), false) AS sparse,
        CASE WHEN NOT sparse THEN sum(n_joint) FILTER (WHERE counts)::DOUBLE END AS tokens,
        sum(n_joint_low) FILTER (WHERE counts)::DOUBLE AS tokens_low,
        sum(n_joint_high) FILTER (WHERE counts)::DOUBLE AS tokens_high,
        joules(sum(e_joint_nj) FILTER (WHERE counts)::DOUBLE) AS gpu_j,
        joules(sum(e_joint_low_nj) FILTER (WHERE counts)::DOUBLE) AS gpu_low_j,
        joules(sum(e_joint_high_nj) FILTER (WHERE counts)::DOUBLE) AS gpu_high_j,
        joules(sum(e_joint_facility_nj) FILTER (WHERE counts)::DOUBLE) AS facility_j,
        joules(sum(e_joint_facility_low_nj) FILTER (WHERE counts)::DOUBLE) AS facility_low_j,
        joules(sum(e_joint_facility_high_nj) FILTER (WHERE counts)::DOUBLE) AS facility_high_j
    FROM job
    GROUP BY GROUPING SETS ((workload), (workload, model, gpu))
)
SELECT
    workload,
    model,
    gpu AS board,
    fleet,
    jobs,
    counted,
    device_us,
    tokens,
    gpu_j,
    CASE WHEN tokens > 0 THEN gpu_j / tokens END AS gpu,
    CASE WHEN tokens > 0 THEN gpu_low_j / tokens_high END AS gpu_low,
    CASE WHEN tokens > 0 AND tokens_low > 0 THEN gpu_high_j / tokens_low END AS gpu_high,
    CASE WHEN tokens > 0 AND with_facility = counted THEN facility_j / tokens END AS facility,
    CASE WHEN tokens > 0 AND with_facility = counted THEN facility_low_j / tokens_high END
        AS facility_low,
    CASE
        WHEN tokens > 0 AND with_facility = counted AND tokens_low > 0
            THEN facility_high_j / tokens_low
    END AS facility_high
FROM total
ORDER BY workload, fleet DESC, total.gpu_j / tokens NULLS LAST, model, total.gpu
