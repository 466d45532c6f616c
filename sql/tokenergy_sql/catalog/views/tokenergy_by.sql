-- Energy per token by a dimension: always sum of energy / sum of tokens, never a mean of ratios.
-- In: job_index, job_hour_index, job_device; dimension, one of job, model, user, account, workload,
-- day, hour, gpu, node, rack, pod, hall, site. Out: one row a value and workload.
--
-- A ratio divides the energy and the tokens of the time in which both are known. A job without such
-- a time counts in no ratio (`uncounted`), and a ratio of less than a tenth of the device time is
-- NULL (`low_joint_coverage`). The facility's figures need the facility energy of every job that
-- counts. Bounds are the sums of the jobs' bounds: the worst case. A job on several boards, nodes,
-- racks ... is split as in job_device.
--
--   dimension         the requested dimension
--   value             one of its values; NULL if it is unknown
--   jobs              jobs with a part in the row
--   counted           jobs that count in the ratios
--   n_tokens          tokens counted: generated or trained
--   te_gpu            J per token, GPU boundary
--   te_gpu_low        lower bound of te_gpu
--   te_gpu_high       upper bound of te_gpu
--   estimate          true if a job of the row has other values too, and was split by time
--   reason_codes      those of the jobs, and uncounted: some jobs lack energy or tokens
CREATE MACRO tokenergy_by(dimension) AS TABLE
    WITH
    -- Pieces of jobs, each with its value of the dimension. Only one of the three sources is read.
    piece AS (
        SELECT
            job_id, workload,
            CASE dimension
                WHEN 'job' THEN job_id
                WHEN 'model' THEN model
                WHEN 'user' THEN "user"
                WHEN 'account' THEN account
                WHEN 'workload' THEN workload
            END AS value,
            device_us, covered_us,
            CASE workload WHEN 'inference' THEN n_generated WHEN 'training' THEN n_trained END
                AS n_tokens,
            n_low, n_high,
            e_gpu_nj, e_gpu_low_nj, e_gpu_high_nj, e_gpu_active_nj,
            e_facility_nj, e_facility_low_nj, e_facility_high_nj,
            e_gpu_burdened_nj, e_facility_burdened_nj,
            token_us, joint_us, n_joint, n_joint_low, n_joint_high,
            e_joint_nj, e_joint_low_nj, e_joint_high_nj, e_joint_burdened_nj,
            e_joint_facility_nj, e_joint_facility_low_nj, e_joint_facility_high_nj,
            e_joint_facility_burdened_nj,
            reason_codes, emulated
        FROM job_index
        WHERE dimension IN ('job', 'model', 'user', 'account', 'workload')
        UNION ALL
        SELECT
            job_id, j.workload,
            left(
                strftime(utc(h.hour_us), '%Y-%m-%dT%H'),
                CASE dimension WHEN 'day' THEN 10 ELSE 13 END
            ),
            h.device_us, h.covered_us,
            CASE j.workload
                WHEN 'inference' THEN h.n_generated WHEN 'training' THEN h.n_trained
            END,
            h.n_low, h.n_high,
            h.e_gpu_nj, h.e_gpu_low_nj, h.e_gpu_high_nj, h.e_gpu_active_nj,
            h.e_facility_nj, h.e_facility_low_nj, h.e_facility_high_nj,
            h.e_gpu_burdened_nj, h.e_facility_burdened_nj,
            h.token_us, h.joint_us, h.n_joint, h.n_joint_low, h.n_joint_high,
            h.e_joint_nj, h.e_joint_low_nj, h.e_joint_high_nj, h.e_joint_burdened_nj,
            h.e_joint_facility_nj, h.e_joint_facility_low_nj, h.e_joint_facility_high_nj,
            h.e_joint_facility_burdened_nj,
            h.reason_codes, h.emulated
        FROM job_hour_index AS h
        JOIN (SELECT job_id, workload FROM job_index) AS j USING (job_id)
        WHERE dimension IN ('day', 'hour')
        UNION ALL
        SELECT
            job_id, workload,
            CASE dimension
                WHEN 'gpu' THEN gpu
                WHEN 'node' THEN node
                WHEN 'rack' THEN rack
                WHEN 'pod' THEN pod
                WHEN 'hall' THEN hall
                WHEN 'site' THEN site
            END,
            device_us, covered_us,
            n_tokens, n_low, n_high,
            e_gpu_nj, e_gpu_low_nj, e_gpu_high_nj, e_gpu_active_nj,
            e_facility_nj, e_facility_low_nj, e_facility_high_nj,
            e_gpu_burdened_nj, e_facility_burdened_nj,
            token_us, joint_us, n_joint, n_joint_low, n_joint_high,
            e_joint_nj, e_joint_low_nj, e_joint_high_nj, e_joint_burdened_nj,
            e_joint_facility_nj, e_joint_facility_low_nj, e_joint_facility_high_nj,
            e_joint_facility_burdened_nj,
            reason_codes, emulated
        FROM job_device
        WHERE dimension IN ('gpu', 'node', 'rack', 'pod', 'hall', 'site')
    ),
    -- As in a job's own row: a boundary that is unknown in one piece is unknown in the sum, and
    -- unmetered energy counts with its lower bound.
    part AS (
        SELECT
            job_id, workload, value,
            sum(device_us) AS device_us,
            sum(covered_us) AS covered_us,
            sum(n_tokens) AS n_tokens,
            sum(n_low) AS n_low,
            sum(n_high) AS n_high,
            sum(e_gpu_nj) AS e_gpu_nj,
            sum(e_gpu_low_nj) AS e_gpu_low_nj,
            sum(e_gpu_high_nj) AS e_gpu_high_nj,
            sum(e_gpu_active_nj) AS e_gpu_active_nj,
            count(e_gpu_nj) > 0
            AND bool_and(e_facility_low_nj IS NOT NULL OR device_us = 0) AS bounded,
            CASE WHEN bounded THEN sum(coalesce(e_facility_nj, e_facility_low_nj)) END
                AS e_facility_nj,
            CASE WHEN bounded THEN sum(e_facility_low_nj) END AS e_facility_low_nj,
            CASE
                WHEN bounded AND count(e_facility_high_nj) = count(e_facility_low_nj)
                    THEN sum(e_facility_high_nj)
            END AS e_facility_high_nj,
            sum(e_gpu_burdened_nj) AS e_gpu_burdened_nj,
            CASE
                WHEN bool_and(e_facility_burdened_nj IS NOT NULL OR device_us = 0)
                    THEN sum(e_facility_burdened_nj)
            END AS e_facility_burdened_nj,
            sum(token_us) AS token_us,
            sum(joint_us) AS joint_us,
            sum(n_joint) AS n_joint,
            sum(n_joint_low) AS n_joint_low,
            sum(n_joint_high) AS n_joint_high,
            sum(e_joint_nj) AS e_joint_nj,
            sum(e_joint_low_nj) AS e_joint_low_nj,
            sum(e_joint_high_nj) AS e_joint_high_nj,
            sum(e_joint_burdened_nj) AS e_joint_burdened_nj,
            bool_and(e_joint_facility_nj IS NOT NULL OR e_joint_nj IS NULL OR joint_us = 0)
                AS joint_bounded,
            CASE WHEN joint_bounded THEN sum(e_joint_facility_nj) END AS e_joint_facility_nj,
            CASE WHEN joint_bounded THEN sum(e_joint_facility_low_nj) END
                AS e_joint_facility_low_nj,
            CASE WHEN joint_bounded THEN sum(e_joint_facility_high_nj) END
                AS e_joint_facility_high_nj,
            CASE WHEN joint_bounded THEN sum(e_joint_facility_burdened_nj) END
                AS e_joint_facility_burdened_nj,
            string_agg(reason_codes, ',') AS reason_codes,
            bool_or(emulated) AS emulated
        FROM piece
        GROUP BY ALL
    ),
    judged AS (
        SELECT
            *,
            workload IN ('inference', 'training') AND e_joint_nj IS NOT NULL AND n_joint IS NOT NULL
                AS counts,
            counts AND e_joint_facility_nj IS NULL AS unbounded,
            -- An hour's tokens are counted; how a job's tokens split over its devices is not.
            dimension NOT IN ('day', 'hour') AND count(*) OVER (PARTITION BY job_id) > 1 AS estimate
        FROM part
    ),
    summed AS (
        SELECT
            value,
            workload,
            count(*) AS jobs,
            count(*) FILTER (WHERE counts) AS counted,
            sum(device_us)::BIGINT AS device_us,
            sum(covered_us)::BIGINT AS covered_us,
            sum(n_tokens)::BIGINT AS n_tokens,
            sum(n_low)::BIGINT AS n_low,
            sum(n_high)::BIGINT AS n_high,
            sum(e_gpu_nj)::DECIMAL(38, 0) AS e_gpu_nj,
            sum(e_gpu_low_nj)::DECIMAL(38, 0) AS e_gpu_low_nj,
            sum(e_gpu_high_nj)::DECIMAL(38, 0) AS e_gpu_high_nj,
            sum(e_gpu_active_nj)::DECIMAL(38, 0) AS e_gpu_active_nj,
            sum(e_facility_nj)::DECIMAL(38, 0) AS e_facility_nj,
            sum(e_facility_low_nj)::DECIMAL(38, 0) AS e_facility_low_nj,
            CASE
                WHEN count(e_facility_high_nj) = count(e_facility_low_nj)
                    THEN sum(e_facility_high_nj)
            END::DECIMAL(38, 0) AS e_facility_high_nj,
            sum(e_gpu_burdened_nj)::DECIMAL(38, 0) AS e_gpu_burdened_nj,
            sum(e_facility_burdened_nj)::DECIMAL(38, 0) AS e_facility_burdened_nj,
            bool_or(estimate) AS estimate,
            list_sort(list_distinct(flatten(list(string_split(reason_codes, ','))))) AS reasons,
            bool_or(emulated) AS emulated,
            sum(token_us)::BIGINT AS token_us,
            sum(joint_us)::BIGINT AS joint_us,
            -- What the ratios divide, J and tokens of the time in which both are known; a ratio
            -- without tokens, or of less than a tenth of the device time, is NULL.
            coalesce(sum(joint_us) < 0.1 * sum(device_us), false) AS sparse,
            CASE WHEN NOT sparse THEN nullif(sum(n_joint) FILTER (WHERE counts), 0) END AS n,
            sum(n_joint) FILTER (WHERE counts)::BIGINT AS n_joint,
            sum(e_joint_nj) FILTER (WHERE counts)::DECIMAL(38, 0) AS e_joint_nj,
            sum(e_joint_facility_nj) FILTER (WHERE counts)::DECIMAL(38, 0) AS e_joint_facility_nj,
            nullif(sum(n_joint_low) FILTER (WHERE counts), 0) AS n_least,
            CASE WHEN n > 0 THEN sum(n_joint_high) FILTER (WHERE counts) END AS n_most,
            sum(e_joint_nj) FILTER (WHERE counts) / 1e9 AS gpu_j,
            sum(e_joint_low_nj) FILTER (WHERE counts) / 1e9 AS gpu_low_j,
            sum(e_joint_high_nj) FILTER (WHERE counts) / 1e9 AS gpu_high_j,
            sum(e_joint_burdened_nj) FILTER (WHERE counts) / 1e9 AS gpu_burdened_j,
            CASE
                WHEN NOT bool_or(unbounded)
                    THEN sum(e_joint_facility_nj) FILTER (WHERE counts) / 1e9
            END
                AS facility_j,
            sum(e_joint_facility_low_nj) FILTER (WHERE counts) / 1e9 AS facility_low_j,
            sum(e_joint_facility_high_nj) FILTER (WHERE counts) / 1e9 AS facility_high_j,
            sum(e_joint_facility_burdened_nj) FILTER (WHERE counts) / 1e9 AS facility_burdened_j
        FROM judged
        GROUP BY value, workload
    )
    SELECT
        dimension AS dimension,
        value, workload, jobs, counted, device_us, covered_us, n_tokens, n_low, n_high,
        e_gpu_nj, e_gpu_low_nj, e_gpu_high_nj, e_gpu_active_nj,
        e_facility_nj, e_facility_low_nj, e_facility_high_nj,
        e_gpu_burdened_nj, e_facility_burdened_nj,
        n_joint, e_joint_nj, e_joint_facility_nj,
        gpu_j / n AS te_gpu,
        gpu_low_j / n_most AS te_gpu_low,
        CASE WHEN n > 0 THEN gpu_high_j / n_least END AS te_gpu_high,
        facility_j / n AS tokenergy,
        CASE WHEN facility_j IS NOT NULL THEN facility_low_j / n_most END AS te_low,
        CASE WHEN facility_j IS NOT NULL AND n > 0 THEN facility_high_j / n_least END AS te_high,
        gpu_burdened_j / n AS te_gpu_burdened,
        CASE WHEN facility_j IS NOT NULL THEN facility_burdened_j / n END AS tokenergy_burdened,
        CASE WHEN facility_j > 0 THEN 3.6e6 * n / facility_j END AS tokens_per_kwh,
        CASE WHEN device_us > 0 THEN covered_us / device_us END AS coverage,
        CASE WHEN device_us > 0 THEN token_us / device_us END AS token_coverage,
        CASE WHEN device_us > 0 THEN joint_us / device_us END AS joint_coverage,
        estimate,
        -- Only some versions of DuckDB give text for an empty list.
        coalesce(array_to_string(list_filter(
            list_concat(
                -- Of an hour's codes, those that follow from its sums are derived again from these.
                list_filter(reasons, lambda code: dimension NOT IN ('day', 'hour') OR code NOT IN (
                    'no_energy', 'no_allocation', 'no_tokens', 'zero_tokens', 'partial_tokens',
                    'low_joint_coverage', 'no_host_power', 'no_pue'
                )),
                [
                    CASE
                        WHEN workload IN ('inference', 'training') AND counted < jobs
                            THEN 'uncounted'
                    END,
                    CASE
                        WHEN
                            dimension IN ('day', 'hour') AND workload IN ('inference', 'training')
                            AND n_tokens = 0
                            THEN 'zero_tokens'
                    END,
                    CASE
                        WHEN
                            dimension IN ('day', 'hour') AND n_tokens IS NOT NULL
                            AND token_us < 0.99 * device_us
                            THEN 'partial_tokens'
                    END,
                    CASE
                        WHEN
                            sparse AND counted > 0
                            AND NOT coalesce(list_contains(reasons, 'low_joint_coverage'), false)
                            THEN 'low_joint_coverage'
                    END,
                    CASE
                        WHEN
                            dimension IN ('day', 'hour') AND e_gpu_nj IS NOT NULL
                            AND e_facility_nj IS NULL
                            THEN CASE
                                WHEN list_contains(reasons, 'no_host_power') THEN 'no_host_power'
                                ELSE 'no_pue'
                            END
                    END
                ]
            ),
            lambda code: code <> ''
        ), ','), '') AS reason_codes,
        emulated
    FROM summed
    UNION ALL BY NAME
    SELECT good::VARCHAR AS dimension, good::VARCHAR AS value, good::VARCHAR AS workload
    FROM (
        SELECT
            good_argument(
                dimension IN (
                    'job', 'model', 'user', 'account', 'workload', 'day', 'hour',
                    'gpu', 'node', 'rack', 'pod', 'hall', 'site'
                ),
                'dimension ' || coalesce(dimension::VARCHAR, 'NULL')
                || ': expected job, model, user, account, '
                'workload, day, hour, gpu, node, rack, pod, hall or site'
            ) AS good
    ) AS argument
    WHERE NOT good
    ORDER BY workload, e_gpu_nj DESC NULLS LAST, value
