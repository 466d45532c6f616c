-- Each job's tokens are the sum of its hours and are within their bounds.
-- fail, whole
-- In: token_usage, job_index. Out: the jobs of which this is not true.
WITH used AS (
    SELECT
        job_id,
        sum(tokens) FILTER (WHERE kind = 'generated') AS n_generated,
        sum(tokens) FILTER (WHERE kind = 'trained') AS n_trained,
        bool_or(tokens NOT BETWEEN low AND high) AS outside
    FROM token_usage
    GROUP BY job_id
)
SELECT
    job_id,
    j.n_generated,
    u.n_generated AS used_generated,
    j.n_trained,
    u.n_trained AS used_trained,
    u.outside
FROM job_index AS j
FULL JOIN used AS u USING (job_id)
WHERE
    j.n_generated IS DISTINCT FROM u.n_generated
    OR j.n_trained IS DISTINCT FROM u.n_trained
    OR u.outside
ORDER BY ALL
