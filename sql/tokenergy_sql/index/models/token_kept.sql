-- What is kept of each job whose tokens are counted.
-- In: thin (points), token_span, token_usage (all hours), job_usage, settled_now. Out: one row a
-- job with points: start_us and end_us as in `token_span`, first_us and last_us (the hours of its
-- first and last point), the columns of `job_usage.sql`, to_us (its last hour of token_usage; NULL:
-- none), settled_from_us and settled_to_us (see `token_settled.sql`; NULL: nothing is settled).
WITH
read AS (
    SELECT
        job_id,
        hour_of(min(ts_us)) AS first_us,
        hour_of(max(ts_us)) AS last_us
    FROM thin
    GROUP BY job_id
),
told AS (
    SELECT
        job_id,
        max(hour_us) AS to_us
    FROM token_usage
    GROUP BY job_id
),
settled AS (
    SELECT DISTINCT job_id, settled_from_us, settled_to_us
    FROM settled_now
)
SELECT
    job_id,
    s.job_start_us AS start_us,
    s.job_end_us AS end_us,
    r.first_us,
    r.last_us,
    u.* EXCLUDE (job_id),
    t.to_us,
    d.settled_from_us,
    d.settled_to_us
FROM read AS r
LEFT JOIN token_span AS s USING (job_id)
LEFT JOIN job_usage AS u USING (job_id)
LEFT JOIN told AS t USING (job_id)
LEFT JOIN settled AS d USING (job_id)
