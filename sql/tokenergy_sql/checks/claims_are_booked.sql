-- Every device that a job list names was metered while the job held it.
-- warn, touched
-- In: allocation, shared_board, segment, ledger_hour, device. Out: the claims of which time is in
-- no book.
--
-- A claim counts from the first to the last hour with segments on the lake. A board that never
-- reported, a node without a collector and a name that fits no board show here: the job's coverage
-- is over what it claimed.
WITH
recorded AS (
    SELECT min(start_us) AS first_us, max(end_us) AS last_us FROM segment
),
claim AS (
    SELECT
        a.job_id, a.node, a.device_id, a.mig_id, a.share_ppm,
        greatest(a.start_us, r.first_us) AS start_us,
        least(coalesce(a.end_us, r.last_us), r.last_us) AS end_us
    FROM allocation AS a
    CROSS JOIN recorded AS r
),
-- A job that was recorded twice on a device holds it once.
edge AS (
    SELECT
        job_id, device_id,
        min(node) AS node,
        min(start_us) AS start_us,
        max(end_us) AS end_us,
        count(*) = 1
        AND min(share_ppm) = whole_ppm()
        AND count(mig_id) = 0
        AND device_id NOT IN (SELECT device_id FROM shared_board) AS alone
    FROM claim
    WHERE end_us > start_us
    GROUP BY job_id, device_id
),
booked AS (
    SELECT job_id, device_id, sum(device_us)::BIGINT AS booked_us
    FROM ledger_hour
    WHERE job_id IS NOT NULL
    GROUP BY ALL
)
SELECT
    e.job_id,
    e.node,
    e.device_id,
    round(seconds(e.end_us - e.start_us), 6) AS held_s,
    round(seconds(coalesce(b.booked_us, 0)), 6) AS booked_s,
    CASE
        WHEN e.device_id IN (SELECT e.node || '/' || d.device_id FROM device AS d)
            THEN 'its board was found on another node'
        WHEN e.device_id NOT IN (SELECT DISTINCT device_id FROM ledger_hour)
            THEN 'no readings of this device'
        ELSE 'no segments for a part of the time'
    END AS why
FROM edge AS e
LEFT JOIN booked AS b USING (job_id, device_id)
WHERE
    b.booked_us IS NULL
    -- A share, or a device that others claim too, is booked in part: that is another check's.
    OR (
        e.alone
        AND b.booked_us < e.end_us - e.start_us - us_per_second()
    )
ORDER BY ALL
