-- The time of each counter's job as if it were one hour, where it is in several.
-- In: token_hour, token_process. Out: counter, hour_us, a_us, b_us, for `token_usage.sql` in place
-- of token_hour.
--
-- What is uncertain of a counter at an inner edge of hours is uncertain in both hours with opposite
-- signs. In the job's own bounds it cancels, so that they do not widen by one hour more.
WITH
counter AS (
    SELECT DISTINCT counter, job_id FROM token_process
),
long_job AS (
    SELECT job_id
    FROM token_hour
    JOIN counter USING (counter)
    GROUP BY job_id
    HAVING min(hour_us) < max(hour_us)
)
SELECT
    counter,
    0 AS hour_us,
    min(a_us) AS a_us,
    max(b_us) AS b_us
FROM token_hour
JOIN counter USING (counter)
JOIN long_job USING (job_id)
GROUP BY counter
