-- Jobs during which a host's clock was set, or the host slept: stamps may be off by that much.
-- In: clock, claim_span, tokens, parameters. Out: one row a job: job_id.
--
-- By the clocks that the collector noted, about once a minute. UTC and the stamps drift apart where
-- the wall clock is set; the time since boot and the monotonic clock where the host sleeps; and the
-- time since boot falls where a later run of the collector took stamps that an earlier one had
-- used, unless the host was started in between. A job counts if it claimed a device of the host, or
-- a counter of it was read there, between the note before and the note after; and for as long as
-- the stamps are more than a second off.
WITH
noted AS (
    SELECT
        node,
        ts_us,
        lag(ts_us) OVER host AS before_us,
        coalesce(lead(ts_us) OVER host, ts_us + 60 * us_per_second()) AS next_us,
        realtime_us - ts_us AS off_us,
        off_us - lag(realtime_us - ts_us) OVER host AS set_us,
        (boottime_us - lag(boottime_us) OVER host)
        - (monotonic_us - lag(monotonic_us) OVER host) AS asleep_us,
        boottime_us < lag(boottime_us) OVER host AS fell,
        coalesce(realtime_us - boottime_us >= lag(ts_us) OVER host - us_per_second(), false)
            AS rebooted
    FROM clock
    WINDOW host AS (PARTITION BY node ORDER BY ts_us, monotonic_us)
),
doubtful AS (
    SELECT node, before_us AS from_us, ts_us AS to_us
    FROM noted
    WHERE
        NOT (fell AND rebooted)
        AND (fell OR abs(set_us) > us_per_second() OR asleep_us > us_per_second())
    UNION ALL
    SELECT node, ts_us AS from_us, next_us AS to_us
    FROM noted
    WHERE abs(off_us) > us_per_second()
),
here AS (
    SELECT
        d.node,
        greatest(d.from_us, p.hour_us) AS from_us,
        least(d.to_us, p.hour_us + us_per_hour()) AS to_us
    FROM doubtful AS d
    CROSS JOIN parameters AS p
    WHERE d.from_us < p.hour_us + us_per_hour() AND d.to_us >= p.hour_us
)
SELECT c.job_id
FROM claim_span AS c
JOIN here AS h ON h.node = c.node AND c.from_us <= h.to_us AND c.to_us > h.from_us
UNION
SELECT job_key(t.cluster, t.job_id) AS job_id
FROM tokens AS t
JOIN here AS h ON h.node = t.node AND t.ts_us BETWEEN h.from_us AND h.to_us
