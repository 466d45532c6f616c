-- Tokens of each job over time. In: token_growth, token_usage, job_step. Out: a row per job, step,
-- kind.
-- Between two readings a counter is linear, as in the index.
WITH inside AS (
    SELECT
        g.job_id,
        g.kind,
        s.step_us,
        g.tokens / (g.to_us - g.from_us) AS per_us,
        greatest(g.from_us, s.from_us) AS left_us,
        least(g.to_us, s.to_us) AS right_us
    FROM token_growth AS g
    JOIN job_step AS s USING (job_id)
    WHERE g.to_us > s.from_us AND g.from_us < s.to_us
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
