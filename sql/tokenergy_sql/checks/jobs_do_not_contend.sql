-- Jobs never claim more than the whole of a device; where they do, the split is an estimate.
-- warn, touched
-- In: allocation. Out: the devices that are claimed for more.
--
-- Looks at the job lists alone, so it sees devices without readings too. Claims only grow where one
-- begins, so it is enough to look there. A job that was recorded twice on a device claims it once,
-- and a MIG instance of a board that it holds whole is a part of that.
WITH
begun AS (
    SELECT DISTINCT device_id, start_us FROM allocation
),
holding AS (
    SELECT b.device_id, b.start_us, a.job_id, a.mig_id, max(a.share_ppm) AS share_ppm
    FROM begun AS b
    JOIN allocation AS a
        ON a.device_id = b.device_id
        AND a.start_us <= b.start_us
        AND (a.end_us IS NULL OR a.end_us > b.start_us)
    GROUP BY ALL
),
contended AS (
    SELECT device_id, start_us, count(*) AS jobs
    FROM (
        SELECT device_id, start_us, job_id, least(whole_ppm(), sum(share_ppm)) AS share_ppm
        FROM holding
        GROUP BY ALL
    )
    GROUP BY ALL
    HAVING sum(share_ppm) > whole_ppm()
)
SELECT
    device_id,
    strftime(make_timestamp(min(start_us)), '%Y-%m-%dT%H:%M:%S.%fZ') AS "from",
    count(*) AS times,
    max(jobs) AS jobs
FROM contended
GROUP BY device_id
ORDER BY ALL
