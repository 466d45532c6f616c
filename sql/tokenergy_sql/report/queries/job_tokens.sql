-- Tokens of each job over time. In: tokens, token_usage, job_step. Out: one row a job, step and kind.
-- Between two readings a counter is linear, as in the index; one that falls begins anew from zero.
WITH reading AS (
    SELECT DISTINCT t.job_id, t.source_id, t.engine, t.kind, t.ts_us, t.epoch, t.value
    FROM tokens AS t
    JOIN job_step AS s USING (job_id)
    WHERE s.step_us < 3600000000
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
piece AS (
    SELECT
        *,
        unnest(range(left_us - left_us % step_us, right_us, step_us)) AS at_us
    FROM grown
    JOIN job_step USING (job_id)
    WHERE right_us > left_us AND delta > 0 AND right_us > from_us AND left_us < to_us
)
SELECT
    job_id,
    at_us,
    kind,
    sum(delta / (right_us - left_us)
        * greatest(0, least(right_us, at_us + step_us, to_us) - greatest(left_us, at_us, from_us)))
        AS tokens
FROM piece
GROUP BY ALL
UNION ALL
SELECT u.job_id, u.hour_us - u.hour_us % s.step_us AS at_us, u.kind, sum(u.tokens)::DOUBLE
FROM token_usage AS u
JOIN job_step AS s USING (job_id)
WHERE s.step_us >= 3600000000
GROUP BY ALL
ORDER BY ALL
