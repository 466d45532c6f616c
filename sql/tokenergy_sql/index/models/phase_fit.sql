-- Energy per prompt token and per generated token of each job, by least squares over its windows.
-- In: phase_block. Out: one row a job: job_id, windows, device_us, prefill and decode (J per token)
-- with low and high, base_w (W of a device), residual, bent, why (empty: it tells), left_out.
--
--     energy of a window = base * device time + a * prompt tokens + b * generated tokens
--
-- Standard errors are those of the jackknife that leaves out one block of five minutes at a time:
-- residuals may have any variance, and may be correlated inside a block (CV3 of MacKinnon, Nielsen
-- and Webb, Journal of Applied Econometrics 38, 2023, which errs towards too much). Bounds are at
-- 99 % of Student's t with one degree of freedom less than blocks (Abramowitz and Stegun 26.7.5).
-- They hold the estimate from windows twice as long too: counts that run ahead of the energy, or
-- behind it, at a window's edges flatten the slopes, and half as much there. If a square of the
-- rate says more than chance does, they hold the slopes at the least and at the most loaded window.
-- The meters' gains come last.
--
-- Sums are of whole numbers; what follows is computed row by row, and added in a fixed order, so
-- that the same inputs give the same bytes.
WITH
whole AS MATERIALIZED (
    SELECT
        job_id,
        count(*) FILTER (WHERE windows > 0) AS blocks,
        sum(windows)::BIGINT AS windows,
        sum(pairs)::BIGINT AS pairs,
        sum(device_us)::BIGINT AS device_us,
        sum(n_prompt)::DOUBLE / nullif(sum(windows), 0) AS mean_p,
        sum(n_generated)::DOUBLE / nullif(sum(windows), 0) AS mean_g,
        sum(e_uj)::DOUBLE / nullif(sum(windows), 0) AS mean_e,
        min(rate_least)::DOUBLE AS rate_least,
        max(rate_most)::DOUBLE AS rate_most,
        min(low_ppm) / whole_ppm() AS gain_low,
        max(high_ppm) / whole_ppm() AS gain_high,
        max(quantum)::DOUBLE AS quantum,
        array_to_string(list_sort(list_distinct(flatten(
            coalesce(list(string_split(reasons, ',')) FILTER (WHERE reasons <> ''), [])
        ))), ',') AS left_out
    FROM phase_block
    GROUP BY job_id
),
total AS (
    SELECT job_id, sum(COLUMNS('^(pair_)?(tt|tp|tg|tz|te|pp|pg|pz|pe|gg|gz|ge|zz|ze|ee)$'))
    FROM phase_block
    GROUP BY job_id
),
-- All blocks together (start_us 0), and all but one.
part AS (
    SELECT job_id, 0 AS start_us, * EXCLUDE (job_id) FROM total
    UNION ALL BY NAME
    SELECT
        b.job_id, b.start_us,
        t.tt - b.tt AS tt, t.tp - b.tp AS tp, t.tg - b.tg AS tg, t.tz - b.tz AS tz,
        t.te - b.te AS te, t.pp - b.pp AS pp, t.pg - b.pg AS pg, t.pz - b.pz AS pz,
        t.pe - b.pe AS pe, t.gg - b.gg AS gg, t.gz - b.gz AS gz, t.ge - b.ge AS ge,
        t.zz - b.zz AS zz, t.ze - b.ze AS ze, t.ee - b.ee AS ee
    FROM phase_block AS b
    JOIN total AS t USING (job_id)
    WHERE b.windows > 0
),
real AS (
    SELECT job_id, start_us, COLUMNS(* EXCLUDE (job_id, start_us))::DOUBLE FROM part
),
-- Device time is taken out of all others first; a, b and c (of z) solve what is left.
apart AS (
    SELECT
        r.*,
        w.rate_least,
        w.rate_most,
        pp - tp * tp / tt AS p_p,
        pg - tp * tg / tt AS p_g,
        pz - tp * tz / tt AS p_z,
        pe - tp * te / tt AS p_e,
        gg - tg * tg / tt AS g_g,
        gz - tg * tz / tt AS g_z,
        ge - tg * te / tt AS g_e,
        zz - tz * tz / tt AS z_z,
        ze - tz * te / tt AS z_e,
        ee - te * te / tt AS e_e,
        pair_pp - pair_tp * pair_tp / pair_tt AS two_pp,
        pair_pg - pair_tp * pair_tg / pair_tt AS two_pg,
        pair_pe - pair_tp * pair_te / pair_tt AS two_pe,
        pair_gg - pair_tg * pair_tg / pair_tt AS two_gg,
        pair_ge - pair_tg * pair_te / pair_tt AS two_ge,
        p_p * g_g - p_g * p_g AS left_over,
        -- Where the sums leave nothing but rounding there is nothing to divide by.
        CASE WHEN left_over > 1e-9 * p_p * g_g THEN left_over END AS det,
        two_pp * two_gg - two_pg * two_pg AS two_left_over,
        CASE WHEN two_left_over > 1e-9 * two_pp * two_gg THEN two_left_over END AS two_det
    FROM real AS r
    JOIN whole AS w USING (job_id)
    WHERE r.tt > 0
),
solved AS MATERIALIZED (
    SELECT
        *,
        (p_e * g_g - g_e * p_g) / det AS a,
        (g_e * p_p - p_e * p_g) / det AS b,
        (te - a * tp - b * tg) / tt AS base,
        (two_pe * two_gg - two_ge * two_pg) / two_det AS two_a,
        (two_ge * two_pp - two_pe * two_pg) / two_det AS two_b,
        -- The same with z: prompts are taken out too, then generated tokens.
        det / p_p AS g1,
        g_z - p_g * p_z / p_p AS gz1,
        z_z - p_z * p_z / p_p AS z1,
        g_e - p_g * p_e / p_p AS ge1,
        z_e - p_z * p_e / p_p AS ze1,
        CASE WHEN z1 - gz1 * gz1 / g1 > 1e-9 * z_z THEN z1 - gz1 * gz1 / g1 END AS z_left,
        (ze1 - gz1 * ge1 / g1) / z_left AS c,
        (ge1 - c * gz1) / g1 AS b_bent,
        (p_e - b_bent * p_g - c * p_z) / p_p AS a_bent,
        b_bent + 2 * c * rate_least AS b_least,
        b_bent + 2 * c * rate_most AS b_most
    FROM apart
),
spread AS (
    SELECT
        f.job_id,
        count(o.a) AS parts,
        count(*) - 1 AS df,
        -- Of squares and of what is left of them beside the other: without the block that has most.
        min(o.p_p) AS p_least,
        min(o.g_g) AS g_least,
        min(o.left_over / o.g_g) AS p_alone,
        min(o.left_over / o.p_p) AS g_alone,
        -- The two-sided quantile of 99 %: that of the normal distribution, and four terms more.
        2.5758293035489 + 4.916548 / df + 8.834762 / df ** 2 + 12.144296 / df ** 3
        + 12.054824 / df ** 4 AS q,
        q * sqrt((parts - 1) / parts * sum((o.a - f.a) ** 2 ORDER BY o.start_us)) AS a_off,
        q * sqrt((parts - 1) / parts * sum((o.b - f.b) ** 2 ORDER BY o.start_us)) AS b_off,
        q * sqrt((parts - 1) / parts * sum((o.c - f.c) ** 2 ORDER BY o.start_us)) AS c_off,
        q * sqrt((parts - 1) / parts * sum((o.a_bent - f.a_bent) ** 2 ORDER BY o.start_us))
            AS bent_off,
        q * sqrt((parts - 1) / parts * sum((o.b_least - f.b_least) ** 2 ORDER BY o.start_us))
            AS least_off,
        q * sqrt((parts - 1) / parts * sum((o.b_most - f.b_most) ** 2 ORDER BY o.start_us))
            AS most_off
    FROM solved AS f
    JOIN solved AS o ON o.job_id = f.job_id AND o.start_us > 0
    WHERE f.start_us = 0
    GROUP BY f.job_id
),
judged AS (
    SELECT
        w.*,
        f.* EXCLUDE (job_id, rate_least, rate_most),
        s.* EXCLUDE (job_id),
        coalesce(abs(f.c) > s.c_off, false) AS bent,
        -- How far each swings from window to window, and how far beside the other.
        sqrt(greatest(s.p_least, 0) / w.windows) AS p_swings,
        sqrt(greatest(s.g_least, 0) / w.windows) AS g_swings,
        sqrt(greatest(s.p_alone, 0) / w.windows) AS p_varies,
        sqrt(greatest(s.g_alone, 0) / w.windows) AS g_varies,
        CASE
            WHEN w.windows < 30 OR w.blocks < 6 THEN 'few_windows'
            WHEN p_swings < 0.05 * w.mean_p OR g_swings < 0.05 * w.mean_g THEN 'constant_load'
            WHEN
                f.det IS NULL OR f.p_g * f.p_g > 0.95 * f.p_p * f.g_g OR s.parts < w.blocks
                OR p_varies < 0.05 * w.mean_p OR g_varies < 0.05 * w.mean_g
                THEN 'collinear'
            WHEN least(p_varies, g_varies) < 10 * w.quantum AND w.quantum > 1
                THEN 'coarse_counter'
            ELSE ''
        END AS why
    FROM whole AS w
    LEFT JOIN (FROM solved WHERE start_us = 0) AS f USING (job_id)
    LEFT JOIN spread AS s USING (job_id)
),
bounded AS (
    SELECT
        *,
        least(a, two_a) - a_off AS a_flat_low,
        greatest(a, two_a) + a_off AS a_flat_high,
        least(b, two_b) - b_off AS b_flat_low,
        greatest(b, two_b) + b_off AS b_flat_high,
        CASE WHEN bent THEN least(a_flat_low, a_bent - bent_off) ELSE a_flat_low END AS a_low,
        CASE WHEN bent THEN greatest(a_flat_high, a_bent + bent_off) ELSE a_flat_high END AS a_high,
        CASE
            WHEN bent THEN least(b_flat_low, b_least - least_off, b_most - most_off)
            ELSE b_flat_low
        END AS b_low,
        CASE
            WHEN bent THEN greatest(b_flat_high, b_least + least_off, b_most + most_off)
            ELSE b_flat_high
        END AS b_high
    FROM judged
)
SELECT
    job_id,
    windows,
    device_us,
    -- A bound below zero says that nothing is known: no token gives energy back.
    CASE WHEN why = '' AND a_low > 0 THEN joules(1000 * a) END AS prefill,
    CASE WHEN why = '' AND a_low > 0 THEN joules(1000 * a_low * gain_low) END AS prefill_low,
    CASE WHEN why = '' AND a_low > 0 THEN joules(1000 * a_high * gain_high) END AS prefill_high,
    CASE WHEN why = '' AND b_low > 0 THEN joules(1000 * b) END AS decode,
    CASE WHEN why = '' AND b_low > 0 THEN joules(1000 * b_low * gain_low) END AS decode_low,
    CASE WHEN why = '' AND b_low > 0 THEN joules(1000 * b_high * gain_high) END AS decode_high,
    CASE WHEN why = '' THEN watts(base) END AS base_w,
    CASE WHEN why = '' THEN sqrt(greatest(e_e - a * p_e - b * g_e, 0) / (windows - 3)) / mean_e END
        AS residual,
    CASE
        WHEN why <> '' THEN why
        WHEN a_low <= 0 OR b_low <= 0 THEN 'wide'
        ELSE ''
    END AS why,
    coalesce(why = '' AND bent, false) AS bent,
    left_out
FROM bounded
