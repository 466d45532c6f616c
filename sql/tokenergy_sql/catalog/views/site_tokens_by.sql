-- J per token of each period, of the hours in which the site's PUE is known: to show beside it.
-- In: site_figure_by, site_hour, job_hour_index, job_index; period, since, until, as in
-- site_figure_by. Out: one row a period and workload.
--
-- As in tokenergy_by: sums of the time in which energy and tokens are both known, NULL if that is
-- less than a tenth of the device time; the facility's needs the facility energy of every hour of a
-- job that counts. An hour counts whole if PUE is known in some of it.
--
--   name         which period: 2026-01-15T08, 2026-01-15, 2026-W03, 2026-01, 2026 or all
--   from_us      its start
--   to_us        its end
--   jobs         jobs in these hours
--   te_gpu       J per token, GPU boundary
--   te_gpu_low   lower bound of te_gpu
--   te_gpu_high  upper bound of te_gpu
CREATE MACRO site_tokens_by(period, since := NULL, until := NULL) AS TABLE
    WITH
    part AS (
        SELECT DISTINCT name, from_us, to_us
        FROM site_figure_by(period, since := since, until := until)
        WHERE place = 'site'
    ),
    known AS (
        SELECT p.name, p.from_us, p.to_us, s.hour_us
        FROM part AS p
        JOIN site_hour AS s ON s.hour_us >= p.from_us AND s.hour_us < p.to_us
        WHERE
            s.place = 'site' AND s.figure = 'pue' AND s.covered_us > 0
            AND (since IS NULL OR s.hour_us >= stamp_us(since))
            AND (until IS NULL OR s.hour_us < stamp_us(until))
    ),
    piece AS (
        SELECT
            k.name, k.from_us, k.to_us,
            j.workload,
            h.job_id,
            h.device_us, h.joint_us, h.emulated,
            h.e_joint_nj IS NOT NULL AND h.n_joint IS NOT NULL AS counts,
            counts AND h.joint_us > 0 AND h.e_joint_facility_nj IS NULL AS unbounded,
            h.n_joint, h.n_joint_low, h.n_joint_high,
            h.e_joint_nj, h.e_joint_low_nj, h.e_joint_high_nj,
            h.e_joint_facility_nj, h.e_joint_facility_low_nj, h.e_joint_facility_high_nj
        FROM known AS k
        JOIN job_hour_index AS h ON h.hour_us = k.hour_us
        JOIN (SELECT job_id, workload FROM job_index) AS j ON j.job_id = h.job_id
        WHERE j.workload IN ('inference', 'training')
    ),
    summed AS (
        SELECT
            name, from_us, to_us,
            workload,
            count(DISTINCT job_id) AS jobs,
            bool_or(emulated) AS emulated,
            sum(joint_us) >= 0.1 * sum(device_us) AS enough,
            bool_or(unbounded) AS unbounded,
            sum(n_joint) FILTER (WHERE counts)::BIGINT AS n_counted,
            CASE WHEN enough THEN nullif(n_counted, 0) END AS n,
            nullif(sum(n_joint_low) FILTER (WHERE counts), 0) AS n_least,
            nullif(sum(n_joint_high) FILTER (WHERE counts), 0) AS n_most,
            sum(e_joint_nj) FILTER (WHERE counts) / 1e9 AS gpu_j,
            sum(e_joint_low_nj) FILTER (WHERE counts) / 1e9 AS gpu_low_j,
            sum(e_joint_high_nj) FILTER (WHERE counts) / 1e9 AS gpu_high_j,
            sum(e_joint_facility_nj) FILTER (WHERE counts) / 1e9 AS facility_j,
            sum(e_joint_facility_low_nj) FILTER (WHERE counts) / 1e9 AS facility_low_j,
            -- An hour of a node whose host's power is not declared has no upper bound.
            CASE
                WHEN
                    count(e_joint_facility_high_nj) FILTER (WHERE counts)
                    = count(e_joint_facility_nj) FILTER (WHERE counts)
                    THEN sum(e_joint_facility_high_nj) FILTER (WHERE counts) / 1e9
            END AS facility_high_j
        FROM piece
        GROUP BY name, from_us, to_us, workload
    )
    SELECT
        name, from_us, to_us, workload, jobs,
        n_counted AS n_joint,
        CASE WHEN NOT unbounded THEN facility_j / n END AS tokenergy,
        CASE WHEN NOT unbounded AND n > 0 THEN facility_low_j / n_most END AS te_low,
        CASE WHEN NOT unbounded AND n > 0 THEN facility_high_j / n_least END AS te_high,
        gpu_j / n AS te_gpu,
        CASE WHEN n > 0 THEN gpu_low_j / n_most END AS te_gpu_low,
        CASE WHEN n > 0 THEN gpu_high_j / n_least END AS te_gpu_high,
        emulated
    FROM summed
    UNION ALL BY NAME
    SELECT
        good_period(period, since, until)::VARCHAR AS name,
        good_period(period, since, until)::VARCHAR AS workload
    WHERE NOT good_period(period, since, until)
    ORDER BY from_us, workload
