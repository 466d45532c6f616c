-- The stamps of each host follow UTC: no step, no suspension, no run behind an earlier one.
-- warn, whole
-- In: clock. Out: where stamps are more than a second off, and why.
--
-- Looks at the clocks that the collector noted, in the order of their stamps. The time since boot
-- falls where a host started after the note before; where it falls otherwise, a later run of the
-- collector took stamps that an earlier one had already used.
WITH
followed AS (
    SELECT
        *,
        (boottime_us - lag(boottime_us) OVER host)
        - (monotonic_us - lag(monotonic_us) OVER host) AS asleep_us,
        boottime_us < lag(boottime_us) OVER host AS fell,
        realtime_us - boottime_us
        >= lag(ts_us) OVER host - us_per_second() AS rebooted
    FROM clock
    WINDOW host AS (PARTITION BY node ORDER BY ts_us, monotonic_us)
),
offs AS (
    SELECT
        node,
        ts_us,
        seconds(realtime_us - ts_us) AS off_s,
        seconds(asleep_us) AS asleep_s,
        CASE
            WHEN fell AND NOT rebooted THEN 'runs overlap'
            WHEN NOT fell AND asleep_us > us_per_second() THEN 'suspended'
            WHEN abs(realtime_us - ts_us) > us_per_second() THEN 'wall clock set'
        END AS why
    FROM followed
)
SELECT
    node,
    why,
    strftime(make_timestamp(min(ts_us)), '%Y-%m-%dT%H:%M:%S.%fZ') AS "from",
    strftime(make_timestamp(max(ts_us)), '%Y-%m-%dT%H:%M:%S.%fZ') AS "to",
    count(*) AS notes,
    arg_max(round(off_s, 3), abs(off_s)) AS off_s,
    max(round(asleep_s, 3)) AS asleep_s
FROM offs
WHERE why IS NOT NULL
GROUP BY node, why
ORDER BY ALL
