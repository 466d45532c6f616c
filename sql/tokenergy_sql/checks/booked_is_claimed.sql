-- No job has more time booked on a device in an hour than the job lists give it.
-- fail, hourly
-- In: ledger, allocation, checked_hour. Out: the jobs, devices and hours with more.
--
-- More is booked where the hour's books are older than the job list, such as after
-- `tokenergy index --hour` on another hour: run `tokenergy index`. What is missing, another check
-- says. Each segment of a row is rounded to a microsecond.
WITH
booked AS (
    SELECT
        l.job_id, l.device_id, h.hour_us,
        sum(l.device_us)::BIGINT AS booked_us,
        sum(coalesce(l.segments, 1))::BIGINT AS rounded_us
    FROM ledger AS l
    JOIN checked_hour AS h
        ON l.start_us >= h.hour_us AND l.start_us < h.hour_us + us_per_hour()
    WHERE l.job_id IS NOT NULL
    GROUP BY ALL
),
-- Records of one job and device may overlap: then this is more than it holds, never less.
claimed AS (
    SELECT
        a.job_id, a.device_id, h.hour_us,
        sum(
            (
                least(coalesce(a.end_us, h.hour_us + us_per_hour()), h.hour_us + us_per_hour())
                - greatest(a.start_us, h.hour_us)
            )::HUGEINT * a.share_ppm
        ) // whole_ppm() AS claimed_us
    FROM allocation AS a
    JOIN checked_hour AS h
        ON a.start_us < h.hour_us + us_per_hour()
        AND (a.end_us IS NULL OR a.end_us > greatest(a.start_us, h.hour_us))
    GROUP BY ALL
)
SELECT
    b.job_id,
    b.device_id,
    strftime(make_timestamp(b.hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    round(seconds(b.booked_us), 6) AS booked_s,
    round(seconds(coalesce(c.claimed_us, 0)), 6) AS claimed_s
FROM booked AS b
LEFT JOIN claimed AS c
    ON c.job_id = b.job_id AND c.device_id = b.device_id AND c.hour_us = b.hour_us
WHERE b.booked_us > coalesce(c.claimed_us, 0) + b.rounded_us
ORDER BY ALL
