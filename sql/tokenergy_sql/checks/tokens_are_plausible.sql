-- No job counted more tokens in an hour than its devices can make.
-- warn, whole
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
            least(coalesce(a.end_us, u.hour_us + 3600000000), u.hour_us + 3600000000)
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
    round(tokens * 1e6 / device_us) AS tokens_s_device
FROM held
WHERE
    device_us > 0
    -- Less than a second of a device says nothing of a rate.
    AND tokens > (
        greatest(device_us, 1000000) / 1e6
        * CASE kind WHEN 'prompt_cached' THEN 1e8 WHEN 'prompt_computed' THEN 5e6 ELSE 1e6 END
    )
ORDER BY ALL
