-- Sums over the windows of each job in blocks of five minutes: all that least squares need.
-- In: phase_window, token_point (all readings around the hour), parameters. Out: the rows of
-- phase_block.
--
-- Sums of whole numbers do not depend on their order, and add up over blocks and hours: a job's
-- regression reads its blocks and never its windows. t is device time (ms), p prompt tokens, g
-- generated tokens, e energy (uJ), z = 1000 g^2 / t(s). `pair_` are the same sums over pairs of
-- neighbouring windows, each pair taken as one window.
WITH
good AS (
    SELECT
        job_id, place, window_us,
        hour.hour_us
        + (start_us - hour.hour_us) // (300 * us_per_second()) * 300 * us_per_second() AS start_us,
        device_us,
        reason,
        CASE WHEN reason IS NULL THEN (device_us // 1000)::HUGEINT END AS t,
        CASE WHEN reason IS NULL THEN prompt::HUGEINT END AS p,
        CASE WHEN reason IS NULL THEN generated::HUGEINT END AS g,
        CASE WHEN reason IS NULL THEN energy_nj // 1000 END AS e,
        g * g * 1000 * us_per_second() // greatest(device_us, 1) AS z,
        g * 1000 * us_per_second() // greatest(device_us, 1) AS rate,
        CASE WHEN reason IS NULL THEN low_ppm END AS low_ppm,
        CASE WHEN reason IS NULL THEN high_ppm END AS high_ppm
    FROM phase_window, parameters AS hour
),
single AS (
    SELECT
        job_id, start_us,
        count(t)::INT AS windows,
        coalesce(sum(device_us) FILTER (WHERE reason IS NULL), 0)::BIGINT AS device_us,
        sum(p)::BIGINT AS n_prompt,
        sum(g)::BIGINT AS n_generated,
        sum(e) AS e_uj,
        sum(t * t) AS tt,
        sum(t * p) AS tp,
        sum(t * g) AS tg,
        sum(t * z) AS tz,
        sum(t * e) AS te,
        sum(p * p) AS pp,
        sum(p * g) AS pg,
        sum(p * z) AS pz,
        sum(p * e) AS pe,
        sum(g * g) AS gg,
        sum(g * z) AS gz,
        sum(g * e) AS ge,
        sum(z * z) AS zz,
        sum(z * e) AS ze,
        sum(e * e) AS ee,
        min(rate)::BIGINT AS rate_least,
        max(rate)::BIGINT AS rate_most,
        min(low_ppm)::BIGINT AS low_ppm,
        max(high_ppm)::BIGINT AS high_ppm,
        coalesce(string_agg(DISTINCT reason, ',' ORDER BY reason), '') AS reasons
    FROM good
    GROUP BY ALL
),
-- A pair belongs to the block in which it begins.
pair AS (
    SELECT
        job_id, place // 2 AS place, min(start_us) AS start_us,
        sum(t) AS t, sum(p) AS p, sum(g) AS g, sum(e) AS e
    FROM good
    GROUP BY ALL
    HAVING count(t) = 2
),
paired AS (
    SELECT
        job_id, start_us,
        count(*)::INT AS pairs,
        sum(t * t) AS pair_tt,
        sum(t * p) AS pair_tp,
        sum(t * g) AS pair_tg,
        sum(t * e) AS pair_te,
        sum(p * p) AS pair_pp,
        sum(p * g) AS pair_pg,
        sum(p * e) AS pair_pe,
        sum(g * g) AS pair_gg,
        sum(g * e) AS pair_ge
    FROM pair
    GROUP BY ALL
),
printed AS (
    SELECT job_id, max(quantum)::BIGINT AS quantum
    FROM token_point
    WHERE kind IN ('prompt_computed', 'generated')
    GROUP BY ALL
)
SELECT
    s.job_id,
    hour.hour_us,
    s.* EXCLUDE (job_id),
    coalesce(r.pairs, 0) AS pairs,
    r.* EXCLUDE (job_id, start_us, pairs),
    coalesce(q.quantum, 1) AS quantum,
    hour.inputs_digest
FROM single AS s
CROSS JOIN parameters AS hour
LEFT JOIN paired AS r USING (job_id, start_us)
LEFT JOIN printed AS q USING (job_id)
