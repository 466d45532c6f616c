-- Bounds of the tokens of jobs in several hours, from the edges of the jobs alone.
-- In: token_usage (of token_job_span). Out: one row a job and kind: tokens, low, high.
SELECT
    job_id,
    kind,
    sum(tokens)::BIGINT AS tokens,
    sum(low)::BIGINT AS low,
    sum(high)::BIGINT AS high
FROM token_usage
GROUP BY ALL
