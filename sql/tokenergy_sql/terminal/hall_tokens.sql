-- J per token of each hall and period, of the hours in which its cooling or its PUE is known.
-- In: ledger_hour, site_hour, job_hour_index, job_index, hall_spot, hall_period. Out: one row a
-- period, hall and workload: the columns of site_tokens_by, and place.
--
-- hall_spot says where each node stood when (node, place, from_us, until_us), hall_period which
-- periods are asked for (from_us, to_us).
--
-- A job counts in the hours in which all its boards were in one hall: which of its boards made a
-- token is unknown. Sums as in site_tokens_by.
WITH
held AS (
    SELECT
        l.hour_us, l.job_id,
        min(s.place) AS place,
        count(DISTINCT coalesce(s.place, '')) AS places
    FROM ledger_hour AS l
    LEFT JOIN hall_spot AS s
        ON s.node = l.node AND s.from_us <= l.hour_us AND l.hour_us + us_per_hour() <= s.until_us
    WHERE l.job_id IS NOT NULL
    GROUP BY l.hour_us, l.job_id
),
known AS (
    SELECT DISTINCT p.from_us, s.hour_us, s.place
    FROM hall_period AS p
    JOIN site_hour AS s ON s.hour_us >= p.from_us AND s.hour_us < p.to_us
    WHERE s.figure IN ('cooling', 'pue') AND s.covered_us > 0
),
piece AS (
    SELECT
        k.from_us, k.place,
        j.workload,
        h.device_us, h.joint_us, h.emulated,
        h.e_joint_nj IS NOT NULL AND h.n_joint IS NOT NULL AS counts,
        counts AND h.joint_us > 0 AND h.e_joint_facility_nj IS NULL AS unbounded,
        h.n_joint, h.n_joint_low, h.n_joint_high,
        h.e_joint_nj, h.e_joint_low_nj, h.e_joint_high_nj,
        h.e_joint_facility_nj, h.e_joint_facility_low_nj, h.e_joint_facility_high_nj
    FROM known AS k
    JOIN held AS b ON b.hour_us = k.hour_us AND b.place = k.place AND b.places = 1
    JOIN job_hour_index AS h ON h.hour_us = b.hour_us AND h.job_id = b.job_id
    JOIN (SELECT job_id, workload FROM job_index) AS j ON j.job_id = h.job_id
    WHERE j.workload IN ('inference', 'training')
),
summed AS (
    SELECT
        from_us, place, workload,
        bool_or(emulated) AS emulated,
        sum(joint_us) >= 0.1 * sum(device_us) AS enough,
        bool_or(unbounded) AS unbounded,
        sum(n_joint) FILTER (WHERE counts)::BIGINT AS n_counted,
        CASE WHEN enough THEN nullif(n_counted, 0) END AS n,
        nullif(sum(n_joint_low) FILTER (WHERE counts), 0) AS n_least,
        nullif(sum(n_joint_high) FILTER (WHERE counts), 0) AS n_most,
        joules(sum(e_joint_nj) FILTER (WHERE counts)) AS gpu_j,
        joules(sum(e_joint_low_nj) FILTER (WHERE counts)) AS gpu_low_j,
        joules(sum(e_joint_high_nj) FILTER (WHERE counts)) AS gpu_high_j,
        joules(sum(e_joint_facility_nj) FILTER (WHERE counts)) AS facility_j,
        joules(sum(e_joint_facility_low_nj) FILTER (WHERE counts)) AS facility_low_j,
        CASE
            WHEN
                count(e_joint_facility_high_nj) FILTER (WHERE counts)
                = count(e_joint_facility_nj) FILTER (WHERE counts)
                THEN joules(sum(e_joint_facility_high_nj) FILTER (WHERE counts))
        END AS facility_high_j
    FROM piece
    GROUP BY from_us, place, workload
)
SELECT
    from_us, place, workload,
    n_counted AS n_joint,
    CASE WHEN NOT unbounded THEN facility_j / n END AS tokenergy,
    CASE WHEN NOT unbounded AND n > 0 THEN facility_low_j / n_most END AS te_low,
    CASE WHEN NOT unbounded AND n > 0 THEN facility_high_j / n_least END AS te_high,
    gpu_j / n AS te_gpu,
    CASE WHEN n > 0 THEN gpu_low_j / n_most END AS te_gpu_low,
    CASE WHEN n > 0 THEN gpu_high_j / n_least END AS te_gpu_high,
    emulated
FROM summed
