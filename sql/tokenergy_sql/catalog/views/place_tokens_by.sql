-- J per token of racks, modules, halls or the site over a span, and their facility energy.
-- In: place_hour, ledger_hour, node_hour, job_hour_index, job_index; grouped, since, until, as in
-- modules_by. Out: one row a group and workload; at least one a group with energy.
--
-- Divided as in tokenergy_by: of each job and hour, the energy and the tokens of the time in which
-- both are known. A job on several places counts in each with the share of its energy that its
-- boards drew there, so places add up to the jobs on placed nodes.
--
--   name          the rack, module, hall or type; site
--   facility_kwh  energy at the facility: boards and hosts times the PUE of each node; NULL if that
--                 of some node is unknown
--   workload      inference or training; NULL: no job with tokens
--   jobs          jobs of that workload with energy there
--   n_joint       tokens counted there
--   tokenergy     J per token, at the facility
--   te_gpu        J per token, GPU boundary
--   te_gpu_low    lower bound of te_gpu
--   te_gpu_high   upper bound of te_gpu
CREATE MACRO place_tokens_by(grouped, since := NULL, until := NULL) AS TABLE
    WITH
    -- Where nodes stood: the share of a node's energy of the hour.
    spell AS (
        SELECT
            hour_us,
            substr(place, 6) AS node,
            CASE grouped
                WHEN 'rack' THEN rack WHEN 'module' THEN "module" WHEN 'hall' THEN hall
                WHEN 'type' THEN "type" WHEN 'site' THEN CASE WHEN rack IS NOT NULL THEN 'site' END
            END AS name,
            sum(energy_nj) AS here_nj
        FROM place_hour
        WHERE
            good_period('all', since, until)
            AND (since IS NULL OR hour_us >= stamp_us(since))
            AND (until IS NULL OR hour_us < stamp_us(until))
            AND kind = 'node' AND "method" = 'boards' AND energy_nj IS NOT NULL
        GROUP BY hour_us, place, name
    ),
    stay AS (
        SELECT
            *,
            here_nj / nullif(sum(here_nj) OVER (PARTITION BY hour_us, node), 0) AS share
        FROM spell
    ),
    facility AS (
        SELECT
            s.name,
            CASE
                WHEN bool_and(n.e_host_nj IS NOT NULL AND n.pue_ppb IS NOT NULL)
                    THEN sum(s.share * (n.e_gpu_nj + n.e_host_nj) * (n.pue_ppb / 1e9)) / 3.6e15
            END AS facility_kwh
        FROM stay AS s
        JOIN node_hour AS n ON n.hour_us = s.hour_us AND n.node = s.node
        WHERE s.share > 0
        GROUP BY s.name
    ),
    of_job AS (
        SELECT l.hour_us, l.job_id, s.name, sum(l.energy_nj * s.share) AS nj
        FROM (
            SELECT hour_us, node, job_id, sum(energy_nj) AS energy_nj
            FROM ledger_hour
            WHERE job_id IS NOT NULL
            GROUP BY ALL
        ) AS l
        JOIN stay AS s ON s.hour_us = l.hour_us AND s.node = l.node
        GROUP BY ALL
    ),
    shared AS (
        SELECT
            *,
            nj / nullif(sum(nj) OVER (PARTITION BY hour_us, job_id), 0) AS share
        FROM of_job
    ),
    piece AS (
        SELECT
            s.name, j.workload, h.job_id, s.share,
            h.device_us * s.share AS device_us,
            h.joint_us * s.share AS joint_us,
            h.e_joint_nj IS NOT NULL AND h.n_joint IS NOT NULL AS counts,
            counts AND h.joint_us > 0 AND h.e_joint_facility_nj IS NULL AS unbounded,
            h.n_joint, h.n_joint_low, h.n_joint_high,
            h.e_joint_nj, h.e_joint_low_nj, h.e_joint_high_nj,
            h.e_joint_facility_nj, h.e_joint_facility_low_nj, h.e_joint_facility_high_nj
        FROM shared AS s
        JOIN job_hour_index AS h ON h.hour_us = s.hour_us AND h.job_id = s.job_id
        JOIN (SELECT job_id, workload FROM job_index) AS j ON j.job_id = h.job_id
        WHERE j.workload IN ('inference', 'training') AND s.share > 0
    ),
    token AS (
        SELECT
            name, workload,
            count(DISTINCT job_id) AS jobs,
            sum(joint_us) >= 0.1 * sum(device_us) AS enough,
            bool_or(unbounded) AS unbounded,
            sum(n_joint * share) FILTER (WHERE counts) AS n_counted,
            CASE WHEN enough THEN nullif(n_counted, 0) END AS n,
            nullif(sum(n_joint_low * share) FILTER (WHERE counts), 0) AS n_least,
            nullif(sum(n_joint_high * share) FILTER (WHERE counts), 0) AS n_most,
            sum(e_joint_nj * share) FILTER (WHERE counts) / 1e9 AS gpu_j,
            sum(e_joint_low_nj * share) FILTER (WHERE counts) / 1e9 AS gpu_low_j,
            sum(e_joint_high_nj * share) FILTER (WHERE counts) / 1e9 AS gpu_high_j,
            sum(e_joint_facility_nj * share) FILTER (WHERE counts) / 1e9 AS facility_j,
            sum(e_joint_facility_low_nj * share) FILTER (WHERE counts) / 1e9 AS facility_low_j,
            CASE
                WHEN
                    count(e_joint_facility_high_nj) FILTER (WHERE counts)
                    = count(e_joint_facility_nj) FILTER (WHERE counts)
                    THEN sum(e_joint_facility_high_nj * share) FILTER (WHERE counts) / 1e9
            END AS facility_high_j
        FROM piece
        GROUP BY name, workload
    )
    SELECT
        f.name, f.facility_kwh,
        k.workload, k.jobs,
        k.n_counted AS n_joint,
        CASE WHEN NOT k.unbounded THEN k.facility_j / k.n END AS tokenergy,
        CASE WHEN NOT k.unbounded AND k.n > 0 THEN k.facility_low_j / k.n_most END AS te_low,
        CASE WHEN NOT k.unbounded AND k.n > 0 THEN k.facility_high_j / k.n_least END AS te_high,
        k.gpu_j / k.n AS te_gpu,
        CASE WHEN k.n > 0 THEN k.gpu_low_j / k.n_most END AS te_gpu_low,
        CASE WHEN k.n > 0 THEN k.gpu_high_j / k.n_least END AS te_gpu_high
    FROM facility AS f
    LEFT JOIN token AS k USING (name)
    WHERE f.name IS NOT NULL
    UNION ALL BY NAME
    SELECT good::VARCHAR AS name, good::VARCHAR AS workload
    FROM (
        SELECT
            good_period('all', since, until)
            AND good_argument(
                grouped IN ('rack', 'module', 'hall', 'type', 'site'),
                'grouped ' || coalesce(grouped::VARCHAR, 'NULL')
                || ': expected rack, module, hall, type or site'
            ) AS good
    ) AS argument
    WHERE NOT good
    ORDER BY name, workload
