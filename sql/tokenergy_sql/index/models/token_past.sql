-- The tokens of long jobs in their settled days, added up.
-- In: token_usage, settled_now. Out: the columns of token_usage, one row a job, model and kind;
-- hour_us is the first hour; bounds are not added up.
SELECT
    u.job_id,
    min(u.hour_us) AS hour_us,
    u.model,
    u.kind,
    sum(u.tokens)::BIGINT AS tokens,
    0::BIGINT AS low,
    0::BIGINT AS high,
    NULL::VARCHAR AS reasons
FROM token_usage AS u
JOIN (SELECT DISTINCT job_id, settled_from_us, settled_to_us FROM settled_now) AS s USING (job_id)
WHERE u.hour_us >= s.settled_from_us AND u.hour_us < s.settled_to_us
GROUP BY u.job_id, u.model, u.kind
