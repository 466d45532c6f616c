-- Where each job's energy went in one hour: full rate, low rate, prefill, no tokens, idle.
-- In: ledger, longest_segment, token_growth (of the hour and ten minutes around it), sums
-- (job_hour_sums), job_caps, job_facts, parameters. Out: the sums of job_efficiency, one row a job.
--
-- `job_efficiency.sql` has the ratios. The hour is divided into intervals of equal length, the
-- shortest of a list that holds ten of the times between which the job's counters grow: then one
-- growth more or less changes a rate by a tenth at most. Tokens are linear between readings,
-- rounded down; energy is that of whole ledger rows, which end at its edges (`job_cut.sql`): no row
-- is ever divided, and the parts add up to e_gpu_nj to the nanojoule.
WITH
-- 1. Tokens: growth between neighbouring readings -----------------------------------------------
-- `counts` is true for the tokens of the index, false for computed prompts.
counter AS (
    SELECT DISTINCT g.counter, g.job_id, g.kind <> 'prompt_computed' AS counts
    FROM token_growth AS g
    JOIN job_facts AS f USING (job_id)
    WHERE
        (f.workload = 'inference' AND g.kind IN ('generated', 'prompt_computed'))
        OR (f.workload = 'training' AND g.kind = 'trained')
),
in_hour AS (
    SELECT g.counter, g.from_us, g.to_us, g.tokens
    FROM token_growth AS g
    JOIN counter AS c USING (counter)
    CROSS JOIN parameters AS p
    WHERE g.to_us > p.hour_us AND g.from_us < p.hour_us + us_per_hour()
),
spacing AS (
    SELECT
        t.counter,
        t.to_us - lag(t.to_us) OVER (PARTITION BY t.counter ORDER BY t.to_us) AS apart_us
    FROM in_hour AS t
    JOIN counter AS c USING (counter)
    WHERE c.counts AND t.tokens > 0
),
-- The shortest interval that holds ten growths and whole windows; else the hour.
grid AS (
    SELECT job_id, coalesce(min(us), us_per_hour())::BIGINT AS interval_us
    FROM (
        SELECT job_id, quantile_disc(apart_us, 0.5) AS apart_us
        FROM (SELECT DISTINCT counter FROM in_hour)
        JOIN counter USING (counter)
        LEFT JOIN spacing USING (counter)
        WHERE counts
        GROUP BY job_id
    )
    CROSS JOIN (SELECT greatest(max(length_us), 1) AS window_us FROM longest_segment)
    LEFT JOIN (
        SELECT unnest([10, 20, 30, 60, 120, 300, 600, 1200]) * us_per_second() AS us
    ) ON us >= 10 * coalesce(apart_us, 0) AND us % window_us = 0
    GROUP BY job_id
),
-- 2. Tokens by interval -------------------------------------------------------------------------
dealt AS (
    SELECT
        t.*,
        c.job_id,
        c.counts,
        g.interval_us,
        p.hour_us,
        unnest(range(
            (greatest(t.from_us, p.hour_us) - p.hour_us) // g.interval_us,
            (least(t.to_us, p.hour_us + us_per_hour()) - p.hour_us - 1) // g.interval_us + 1
        )) AS place
    FROM in_hour AS t
    JOIN counter AS c USING (counter)
    JOIN grid AS g USING (job_id)
    CROSS JOIN parameters AS p
),
shared_out AS (
    SELECT
        *,
        greatest(from_us, hour_us + place * interval_us) AS a_us,
        least(to_us, hour_us + (place + 1) * interval_us) AS b_us,
        (
            tokens::HUGEINT * (b_us - from_us) // (to_us - from_us)
            - tokens::HUGEINT * (a_us - from_us) // (to_us - from_us)
        )::BIGINT AS part
    FROM dealt
),
-- Readings further apart than an interval give no rate, unless nothing grew.
by_counter AS (
    SELECT
        counter, place,
        any_value(job_id) AS job_id,
        any_value(counts) AS counts,
        sum(part)::BIGINT AS part,
        sum(b_us - a_us) FILTER (WHERE tokens = 0 OR to_us - from_us <= interval_us)
        = any_value(interval_us) AS whole
    FROM shared_out
    GROUP BY counter, place
),
counted AS (
    SELECT
        job_id, place,
        sum(part) FILTER (WHERE counts)::BIGINT AS n,
        sum(part) FILTER (WHERE NOT counts)::BIGINT AS n_prompt,
        bool_and(whole) FILTER (WHERE counts) AS whole
    FROM by_counter
    GROUP BY ALL
),
-- 3. Energy by interval -------------------------------------------------------------------------
spent AS (
    SELECT
        l.job_id,
        (l.start_us - p.hour_us) // g.interval_us AS place,
        any_value(g.interval_us) AS interval_us,
        max(l.end_us) - min(l.start_us) AS held_us,
        sum(l.energy_nj) AS nj,
        sum(l.low_nj) AS low_nj,
        sum(l.high_nj) AS high_nj,
        coalesce(sum(l.energy_nj) FILTER (WHERE l.account = 'resident_idle'), 0::HUGEINT)
            AS idle_nj,
        sum(l.device_us) AS device_us,
        coalesce(sum(l.device_us) FILTER (WHERE l.account = 'resident_idle'), 0::HUGEINT)
            AS idle_us,
        coalesce(sum(l.device_us) FILTER (WHERE l.account = 'gap'), 0::HUGEINT) AS gap_us,
        sum(l.high_nj) FILTER (WHERE l.account = 'gap') AS gap_high_nj
    FROM ledger AS l
    CROSS JOIN parameters AS p
    LEFT JOIN grid AS g USING (job_id)
    WHERE l.job_id IS NOT NULL
    GROUP BY ALL
),
timed AS (
    SELECT
        s.*,
        c.n,
        c.n_prompt,
        -- A job that begins or ends up to 1 % inside an interval still fills it: else a microsecond
        -- at an interval's edge would move the energy of the whole interval.
        coalesce(
            c.whole AND s.held_us * 100 >= s.interval_us * 99 AND s.gap_us * 100 <= s.device_us,
            false
        ) AS known
    FROM spent AS s
    LEFT JOIN counted AS c USING (job_id, place)
),
peak AS (
    SELECT
        job_id,
        any_value(interval_us) AS interval_us,
        count(*) FILTER (WHERE known) AS intervals,
        count(*) FILTER (WHERE known AND n > 0) AS busy,
        count(n_prompt) > 0 AS prompted,
        CASE WHEN busy >= 5 THEN quantile_disc(n, 0.95) FILTER (WHERE known AND n > 0) END AS n_peak
    FROM timed
    GROUP BY job_id
),
classed AS (
    SELECT
        t.*,
        CASE
            WHEN NOT known THEN 'unknown'
            WHEN n = 0 AND coalesce(n_prompt, 0) = 0 THEN 'none'
            WHEN n_peak IS NULL THEN 'unknown'
            WHEN n * 10 >= n_peak * 9 THEN 'steady'
            WHEN n_prompt > 0 AND n * 10 < n_peak THEN 'prefill'
            ELSE 'low'
        END AS class
    FROM timed AS t
    JOIN peak USING (job_id)
),
parted AS (
    SELECT
        job_id,
        sum(nj) FILTER (WHERE class = 'steady') AS e_steady_nj,
        sum(low_nj) FILTER (WHERE class = 'steady') AS e_steady_low_nj,
        sum(high_nj) FILTER (WHERE class = 'steady') AS e_steady_high_nj,
        sum(coalesce(nj, 0) - idle_nj) FILTER (WHERE class = 'low') AS e_low_batch_nj,
        sum(coalesce(nj, 0) - idle_nj) FILTER (WHERE class = 'prefill') AS e_prefill_nj,
        sum(nj) FILTER (WHERE known AND n_prompt > 0) AS e_prefill_high_nj,
        sum(coalesce(nj, 0) - idle_nj) FILTER (WHERE class = 'none') AS e_no_tokens_nj,
        sum(idle_nj) FILTER (WHERE class <> 'steady') AS e_idle_nj,
        sum(coalesce(nj, 0) - idle_nj) FILTER (WHERE class = 'unknown') AS e_unknown_nj,
        coalesce(sum(idle_us) FILTER (WHERE class <> 'steady'), 0::HUGEINT) AS idle_us,
        sum(gap_us) AS gap_us,
        coalesce(sum(gap_high_nj), 0::HUGEINT) AS gap_high_nj,
        sum(interval_us) FILTER (WHERE class = 'steady') AS steady_us,
        sum(n) FILTER (WHERE class = 'steady') AS n_steady,
        sum(n) FILTER (WHERE class = 'low') AS n_low_batch
    FROM classed
    GROUP BY job_id
)
SELECT
    s.job_id,
    s.hour_us,
    s.device_us,
    p.idle_us::BIGINT AS idle_us,
    p.gap_us::BIGINT AS gap_us,
    p.gap_high_nj,
    s.e_gpu_nj,
    CASE WHEN k.n_peak IS NOT NULL THEN coalesce(p.e_steady_nj, 0::HUGEINT) END AS e_steady_nj,
    p.e_steady_low_nj,
    p.e_steady_high_nj,
    CASE WHEN k.n_peak IS NOT NULL THEN coalesce(p.e_low_batch_nj, 0::HUGEINT) END
        AS e_low_batch_nj,
    CASE WHEN k.n_peak IS NOT NULL AND k.prompted THEN coalesce(p.e_prefill_nj, 0::HUGEINT) END
        AS e_prefill_nj,
    CASE WHEN k.n_peak IS NOT NULL AND k.prompted THEN coalesce(p.e_prefill_high_nj, 0::HUGEINT) END
        AS e_prefill_high_nj,
    CASE WHEN k.intervals > 0 THEN coalesce(p.e_no_tokens_nj, 0::HUGEINT) END AS e_no_tokens_nj,
    CASE WHEN s.e_gpu_nj IS NOT NULL THEN coalesce(p.e_idle_nj, 0::HUGEINT) END AS e_idle_nj,
    CASE WHEN s.e_gpu_nj IS NOT NULL THEN coalesce(p.e_unknown_nj, 0::HUGEINT) END AS e_unknown_nj,
    k.interval_us,
    coalesce(k.intervals, 0) AS intervals,
    k.n_peak / seconds(k.interval_us) AS peak_tokens_s,
    p.steady_us::BIGINT AS steady_us,
    p.n_steady::BIGINT AS n_steady,
    CASE WHEN k.n_peak IS NOT NULL THEN coalesce(p.n_low_batch, 0)::BIGINT END AS n_low_batch,
    CASE WHEN c.limited THEN c.over_50_low_nj END AS over_50_low_nj,
    CASE WHEN c.limited THEN c.over_50_high_nj END AS over_50_high_nj,
    CASE WHEN c.limited THEN c.over_60_low_nj END AS over_60_low_nj,
    CASE WHEN c.limited THEN c.over_60_high_nj END AS over_60_high_nj,
    CASE WHEN c.limited THEN c.over_70_low_nj END AS over_70_low_nj,
    CASE WHEN c.limited THEN c.over_70_high_nj END AS over_70_high_nj,
    CASE WHEN c.limited THEN c.over_80_low_nj END AS over_80_low_nj,
    CASE WHEN c.limited THEN c.over_80_high_nj END AS over_80_high_nj,
    CASE WHEN c.limited THEN c.over_90_low_nj END AS over_90_low_nj,
    CASE WHEN c.limited THEN c.over_90_high_nj END AS over_90_high_nj,
    list_concat(s.reasons, [
        CASE
            WHEN f.workload = 'mixed' THEN 'mixed_workload'
            WHEN k.interval_us IS NULL THEN 'no_tokens'
            WHEN k.intervals = 0 THEN 'tokens_sparse'
            WHEN k.busy = 0 THEN 'zero_tokens'
            WHEN k.n_peak IS NULL THEN 'few_intervals'
        END,
        CASE WHEN f.workload = 'inference' AND NOT k.prompted THEN 'no_prompt_counter' END,
        CASE WHEN c.limited = false THEN 'no_limit' END
    ]) AS reasons,
    coalesce(f.emulated, false) AS emulated,
    s.inputs_digest,
    s.as_of_us
FROM sums AS s
LEFT JOIN parted AS p USING (job_id)
LEFT JOIN peak AS k USING (job_id)
LEFT JOIN job_caps AS c USING (job_id)
LEFT JOIN job_facts AS f USING (job_id)
