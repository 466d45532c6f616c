-- Tokens of each job over time. In: tokens, token_usage, job_step. Out: a row per job, step, kind.
-- Between two readings a counter is linear, as in the index; one that falls restarts from zero.
WITH reading AS (
    SELECT DISTINCT t.job_id, t.source_id, t.engine, t.kind, t.ts_us, t.epoch, t.value
    FROM tokens AS t
    JOIN job_step AS s USING (job_id)
    WHERE s.step_us < us_per_hour()
),
grown AS (
    SELECT
        job_id,
        kind,
        lag(ts_us) OVER counter AS left_us,
        ts_us AS right_us,
        CASE
            WHEN value < lag(value) OVER counter OR epoch > lag(epoch) OVER counter THEN value
            ELSE value - lag(value) OVER counter
        END AS delta
    FROM reading
    WINDOW counter AS (PARTITION BY job_id, source_id, engine, kind ORDER BY ts_us, epoch, value)
),
inside AS (
    SELECT
        g.job_id,
        g.kind,
        s.step_us,
        g.delta / (g.right_us - g.left_us) AS per_us,
        greatest(g.left_us, s.from_us) AS left_us,
        least(g.right_us, s.to_us) AS right_us
    FROM grown AS g
    JOIN job_step AS s USING (job_id)
    WHERE g.right_us > g.left_us AND g.right_us > s.from_us AND g.left_us < s.to_us
),
piece AS (
    SELECT *, unnest(range(left_us - left_us % step_us, right_us, step_us)) AS at_us FROM inside
)
SELECT
    job_id,
    at_us,
    kind,
    sum(per_us * (least(right_us, at_us + step_us) - greatest(left_us, at_us))) AS tokens
FROM piece
GROUP BY ALL
UNION ALL
SELECT u.job_id, u.hour_us - u.hour_us % s.step_us AS at_us, u.kind, sum(u.tokens)::DOUBLE
FROM token_usage AS u
JOIN job_step AS s USING (job_id)
WHERE s.step_us >= us_per_hour()
GROUP BY ALL
ORDER BY ALL
