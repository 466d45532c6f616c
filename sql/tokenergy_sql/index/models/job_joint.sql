-- Energy and tokens of the time in which both are known, of the jobs for which that is not all.
-- In: job_time, time_state, ledger, tokens, token_known. Out: one row a job: job_id, energy_nj,
-- low_nj, high_nj, device_us and covered_us of its ledger rows; prompt_computed, prompt_cached,
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
reading AS (
    SELECT
        row_number() OVER () AS place, job_id, source_id, engine, kind, ts_us, value, epoch, since_us
    FROM tokens
    WHERE job_id IN (SELECT job_id FROM joint) AND value BETWEEN 0 AND 9007199254740992
),
followed AS (
    SELECT
        *,
        lag(ts_us) OVER counter AS before_us,
        lag(value) OVER counter AS before,
        value < before OR epoch > lag(epoch) OVER counter
        OR abs(since_us - lag(since_us) OVER counter) > us_per_second() AS restarted
    FROM reading
    WINDOW counter AS (PARTITION BY job_id, source_id, engine, kind ORDER BY ts_us, epoch, value)
),
-- A process whose start is known was at zero then; earlier readings are of another hour.
known AS (
    SELECT job_id, source_id, min(from_us) AS first_us FROM token_known GROUP BY ALL
),
growth AS (
    SELECT
        f.place, f.job_id, f.kind,
        CASE
            WHEN f.before_us IS NULL OR f.restarted THEN greatest(f.before_us, f.since_us)
            ELSE f.before_us
        END AS from_us,
        f.ts_us AS to_us,
        CASE WHEN f.before_us IS NULL OR f.restarted THEN f.value ELSE f.value - f.before END AS grown
    FROM followed AS f
    LEFT JOIN known AS k USING (job_id, source_id)
    WHERE
        f.before_us < f.ts_us
        OR (f.before_us IS NULL AND f.since_us < f.ts_us AND f.since_us >= k.first_us)
),
dealt AS (
    SELECT
        g.place, g.job_id, g.kind, g.grown,
        bool_or(j.from_us <= g.from_us AND j.to_us >= g.to_us) AS inside,
        sum(
            g.grown::HUGEINT * (least(g.to_us, j.to_us) - g.from_us) // (g.to_us - g.from_us)
            - g.grown::HUGEINT * (greatest(g.from_us, j.from_us) - g.from_us)
            // (g.to_us - g.from_us)
        ) AS part
    FROM growth AS g
    JOIN joint AS j ON j.job_id = g.job_id AND j.from_us < g.to_us AND j.to_us > g.from_us
    GROUP BY ALL
),
counted AS (
    SELECT
        job_id,
        sum(part) FILTER (WHERE kind = 'prompt_computed')::BIGINT AS prompt_computed,
        sum(part) FILTER (WHERE kind = 'prompt_cached')::BIGINT AS prompt_cached,
        sum(part) FILTER (WHERE kind = 'generated')::BIGINT AS generated,
        sum(part) FILTER (WHERE kind = 'trained')::BIGINT AS trained,
        sum(grown) FILTER (WHERE kind = 'generated' AND inside)::BIGINT AS generated_low,
        sum(grown) FILTER (WHERE kind = 'trained' AND inside)::BIGINT AS trained_low,
        sum(grown) FILTER (WHERE kind = 'generated')::BIGINT AS generated_high,
        sum(grown) FILTER (WHERE kind = 'trained')::BIGINT AS trained_high
    FROM dealt
    GROUP BY job_id
)
SELECT j.job_id, d.* EXCLUDE (job_id), c.* EXCLUDE (job_id)
FROM (SELECT DISTINCT job_id FROM joint) AS j
LEFT JOIN drawn AS d USING (job_id)
LEFT JOIN counted AS c USING (job_id)
