-- Energy and tokens of the time in which both are known, of the jobs for which that is not all.
-- In: job_time, time_state, ledger, token_growth, token_point (all readings around the hour). Out:
-- one row a job: job_id, energy_nj, low_nj, high_nj, device_us and covered_us of its ledger rows; prompt_computed, prompt_cached,
-- generated and trained tokens, and bounds of the last two.
--
-- A ledger row that is only partly inside counts by time, and so do tokens between two readings, by
-- the telescoping rule: floor(x b / t) minus floor(x a / t). Lower bounds of tokens have the growths
-- that are wholly inside, upper bounds all that touch.
WITH
joint AS (
    SELECT job_id, from_us, to_us
    FROM time_state
    WHERE
        tokens_known AND energy_known
        AND job_id IN (SELECT job_id FROM job_time WHERE NOT whole)
),
cut AS (
    SELECT
        l.job_id, l.energy_nj::HUGEINT AS nj, l.low_nj::HUGEINT AS low_nj,
        l.high_nj::HUGEINT AS high_nj, l.device_us, l.covered_us,
        (l.end_us - l.start_us)::HUGEINT AS t,
        (greatest(l.start_us, j.from_us) - l.start_us)::HUGEINT AS a,
        (least(l.end_us, j.to_us) - l.start_us)::HUGEINT AS b
    FROM ledger AS l
    JOIN joint AS j ON j.job_id = l.job_id AND j.from_us < l.end_us AND j.to_us > l.start_us
),
drawn AS (
    SELECT
        job_id,
        sum(nj * b // t - nj * a // t) AS energy_nj,
        sum(low_nj * b // t - low_nj * a // t) AS low_nj,
        -- Rounded up: the part of an upper bound is one too.
        sum(high_nj * b // t - high_nj * a // t + (b - a <> t)::INT) AS high_nj,
        sum(device_us * b // t - device_us * a // t) AS device_us,
        sum(covered_us * b // t - covered_us * a // t) AS covered_us
    FROM cut
    GROUP BY job_id
),
dealt AS (
    SELECT
        g.job_id, g.kind, g.counter, g.from_us, g.tokens,
        bool_or(j.from_us <= g.from_us AND j.to_us >= g.to_us) AS inside,
        sum(
            g.tokens::HUGEINT * (least(g.to_us, j.to_us) - g.from_us) // (g.to_us - g.from_us)
            - g.tokens::HUGEINT * (greatest(g.from_us, j.from_us) - g.from_us)
            // (g.to_us - g.from_us)
        ) AS part
    FROM token_growth AS g
    JOIN joint AS j ON j.job_id = g.job_id AND j.from_us < g.to_us AND j.to_us > g.from_us
    GROUP BY ALL
),
-- A counter that is printed in steps is known to half a step at either end.
coarse AS (
    SELECT job_id, kind, sum(quantum)::BIGINT AS slack
    FROM (
        SELECT
            job_id, node, source_id, model, engine, kind, metric, series, max(quantum) AS quantum
        FROM token_point
        WHERE quantum > 1 AND job_id IN (SELECT job_id FROM joint)
        GROUP BY ALL
    )
    GROUP BY ALL
),
bounded AS (
    SELECT
        d.job_id,
        d.kind,
        sum(d.part) AS tokens,
        greatest(
            coalesce(sum(d.tokens) FILTER (WHERE d.inside), 0) - coalesce(any_value(c.slack), 0), 0
        ) AS low,
        sum(d.tokens) + coalesce(any_value(c.slack), 0) AS high
    FROM dealt AS d
    LEFT JOIN coarse AS c USING (job_id, kind)
    GROUP BY d.job_id, d.kind
),
counted AS (
    SELECT
        job_id,
        sum(tokens) FILTER (WHERE kind = 'prompt_computed')::BIGINT AS prompt_computed,
        sum(tokens) FILTER (WHERE kind = 'prompt_cached')::BIGINT AS prompt_cached,
        sum(tokens) FILTER (WHERE kind = 'generated')::BIGINT AS generated,
        sum(tokens) FILTER (WHERE kind = 'trained')::BIGINT AS trained,
        sum(low) FILTER (WHERE kind = 'generated')::BIGINT AS generated_low,
        sum(low) FILTER (WHERE kind = 'trained')::BIGINT AS trained_low,
        sum(high) FILTER (WHERE kind = 'generated')::BIGINT AS generated_high,
        sum(high) FILTER (WHERE kind = 'trained')::BIGINT AS trained_high
    FROM bounded
    GROUP BY job_id
)
SELECT j.job_id, d.* EXCLUDE (job_id), c.* EXCLUDE (job_id)
FROM (SELECT DISTINCT job_id FROM joint) AS j
LEFT JOIN drawn AS d USING (job_id)
LEFT JOIN counted AS c USING (job_id)
