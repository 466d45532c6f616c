-- Hosts draw power while a board is watched, and jobs and idle boards bear it.
-- fail, hourly
-- In: odd_segment, board_span, node_hour, host_hour, ledger, job_hour_index. Out: nodes and hours
-- of which the energy differs, and hours whose jobs and idle boards do not bear (GPU + hosts) x
-- declared PUE.
--
-- The time of a node is the union of that of all its boards, whoever held them: a host draws its
-- declared power in it, or what `host_hour` has of the same time (see `host_law`). Each site rounds
-- once, and there are no more sites than boards.
WITH
span AS (
    SELECT hour_us, node, first_us AS start_us, last_us AS end_us FROM board_span WHERE chained
    UNION
    SELECT hour_of(start_us), node, start_us, end_us FROM odd_segment
),
reached AS (
    SELECT
        *,
        coalesce(max(end_us) OVER (
            PARTITION BY hour_us, node ORDER BY start_us, end_us
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), 0) AS before_us
    FROM span
),
seen AS (
    SELECT
        hour_us, node,
        sum(greatest(0, end_us - greatest(start_us, before_us)))::HUGEINT AS watched_us
    FROM reached
    GROUP BY ALL
),
hosts AS (
    SELECT
        hour_us, node,
        n.e_host_nj AS host_nj,
        CASE
            -- Hours of earlier versions, and what was declared.
            WHEN h.method IS NULL OR (h.method = 'declared' AND h.host_high_nj IS NOT NULL)
                THEN n.host_mw * s.watched_us
            WHEN h.watched_us = s.watched_us THEN h.host_nj
        END::HUGEINT AS expected_nj,
        n.pue_ppm,
        n.facility_method
    FROM seen AS s
    FULL JOIN node_hour AS n USING (hour_us, node)
    LEFT JOIN host_hour AS h USING (hour_us, node)
),
drawn AS (
    SELECT
        hour_of(start_us) AS hour_us,
        coalesce(sum(energy_nj), 0)::HUGEINT AS gpu_nj,
        count(DISTINCT device_id) AS boards
    FROM ledger
    GROUP BY ALL
),
borne AS (
    SELECT
        hour_us,
        CASE WHEN count(borne_nj) = count(*) THEN sum(borne_nj)::HUGEINT END AS borne_nj
    FROM (
        SELECT hour_us, e_facility_burdened_nj AS borne_nj
        FROM job_hour_index
        WHERE e_gpu_burdened_nj IS NOT NULL
        UNION ALL
        SELECT hour_us, unborne_facility_nj FROM node_hour
    )
    GROUP BY hour_us
),
whole AS (
    SELECT
        hour_us, any_value(d.boards) AS boards,
        scale_ppm(
            any_value(d.gpu_nj) + sum(h.expected_nj)::HUGEINT, any_value(h.pue_ppm)
        ) AS expected_nj
    FROM hosts AS h
    JOIN drawn AS d USING (hour_us)
    GROUP BY ALL
    -- Where PUE is measured, the meters say how much it is: see burden_is_metered. Where it is
    -- modelled, it is not the declared one: see modelled_adds_up.
    HAVING bool_and(coalesce(h.facility_method NOT IN ('measured', 'modelled'), true))
)
SELECT
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    node,
    host_nj,
    expected_nj
FROM hosts
WHERE host_nj IS DISTINCT FROM expected_nj
UNION ALL
SELECT strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z'), NULL, b.borne_nj, w.expected_nj
FROM whole AS w
JOIN borne AS b USING (hour_us)
WHERE abs(b.borne_nj - w.expected_nj) > w.boards
ORDER BY ALL
