-- The hours of each counter's job, cut at the job's edges.
-- In: token_process, token_span. Out: counter, hour_us, a_us and b_us (from when to when).
WITH
counter AS (
    SELECT
        counter,
        any_value(job_id) AS job_id,
        min(first_us) AS first_us,
        max(last_us) AS last_us
    FROM token_process
    GROUP BY counter
),
watched AS (
    SELECT
        c.counter,
        coalesce(span.job_start_us, c.first_us) AS from_us,
        coalesce(span.job_end_us, greatest(c.last_us, coalesce(span.job_start_us, c.first_us)))
            AS to_us
    FROM counter AS c
    LEFT JOIN token_span AS span USING (job_id)
),
hourly AS (
    SELECT
        counter, from_us, to_us,
        unnest(range(hour_of(from_us), greatest(to_us, from_us + 1), us_per_hour())) AS hour_us
    FROM watched
),
cut AS (
    SELECT
        counter,
        hour_us,
        greatest(hour_us, from_us) AS a_us,
        least(hour_us + us_per_hour(), to_us) AS b_us
    FROM hourly
)
SELECT counter, hour_us, a_us, b_us
FROM cut
WHERE a_us <= b_us
