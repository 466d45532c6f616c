-- No job counted more tokens in an hour than its devices can make.
-- warn, hourly
-- In: token_usage, allocation. Out: the hours of jobs in which it did.
--
-- A board generates or trains some ten thousand tokens a second at most, computes some hundred
-- thousand of prompts, and takes more from caches. Ten times that is a leap of a counter, or tokens
-- that were counted more than once.
WITH
used AS (
    SELECT job_id, hour_us, kind, sum(tokens) AS tokens
    FROM token_usage
    GROUP BY ALL
),
held AS (
    SELECT
        u.job_id,
        u.hour_us,
        u.kind,
        u.tokens,
        sum(greatest(
            least(coalesce(a.end_us, u.hour_us + us_per_hour()), u.hour_us + us_per_hour())
            - greatest(a.start_us, u.hour_us),
            0
        )) AS device_us
    FROM used AS u
    JOIN allocation AS a USING (job_id)
    GROUP BY ALL
)
SELECT
    job_id,
    make_timestamp(hour_us) AS hour,
    kind,
    tokens,
    round(per_second(tokens, device_us)) AS tokens_s_device
FROM held
WHERE
    device_us > 0
    -- Less than a second of a device says nothing of a rate.
    AND tokens > (
        greatest(device_us, us_per_second())
        -- tokens a microsecond
        * CASE
            WHEN kind IN ('prompt_cached', 'prompt_external') THEN 100
            WHEN kind = 'prompt_computed' THEN 5
            ELSE 1
        END
    )
ORDER BY ALL
