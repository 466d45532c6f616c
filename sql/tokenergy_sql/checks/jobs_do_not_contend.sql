-- Jobs never claim more than the whole of a device; where they do, the split is an estimate.
-- warn, hourly
-- In: segment, allocation. Out: the devices that are claimed for more.
SELECT
    device_id,
    strftime(make_timestamp(min(start_us)), '%Y-%m-%dT%H:%M:%S.%fZ') AS "from",
    count(*) AS segments,
    max(jobs) AS jobs
FROM (
    SELECT s.device_id, s.start_us, count(*) AS jobs, sum(a.share_ppm) AS share_ppm
    FROM segment AS s
    JOIN allocation AS a
        ON a.device_id = s.device_id
        AND a.start_us <= s.start_us
        AND (a.end_us IS NULL OR a.end_us >= s.end_us)
    GROUP BY ALL
)
WHERE share_ppm > whole_ppm()
GROUP BY device_id
ORDER BY ALL
