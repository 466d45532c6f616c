-- Times in which the stamps of a host may be more than a second off, and why.
-- In: clock. Out: one row a note of the clocks that is off or before which one of them moved: node,
-- ts_us, from_us, to_us, why, off_us, set_us, asleep_us.
--
-- The collector notes all clocks about once a minute. UTC and the stamps drift apart where the wall
-- clock is set in a run of the collector. Each run takes its stamps from UTC at its start, so a
-- clock that is set between two runs moves only against the time since boot. That and the monotonic
-- clock drift apart where the host sleeps. The time since boot falls where the host was started
-- after the note before, which is no step, or where a later run took stamps that an earlier one had
-- used. What moved, moved between two notes; stamps that are off are off until the next note.
CREATE VIEW clock_doubt AS
WITH
noted AS (
    SELECT
        node,
        ts_us,
        lag(ts_us) OVER host AS before_us,
        coalesce(lead(ts_us) OVER host, ts_us + 60 * us_per_second()) AS next_us,
        realtime_us - ts_us AS off_us,
        off_us - lag(realtime_us - ts_us) OVER host AS drift_us,
        (realtime_us - boottime_us) - lag(realtime_us - boottime_us) OVER host AS set_us,
        (boottime_us - monotonic_us) - lag(boottime_us - monotonic_us) OVER host AS asleep_us,
        coalesce(boottime_us < lag(boottime_us) OVER host, false) AS fell,
        coalesce(realtime_us - boottime_us >= lag(ts_us) OVER host - us_per_second(), false)
            AS rebooted
    FROM clock
    WINDOW host AS (PARTITION BY node ORDER BY ts_us, monotonic_us)
),
moved AS (
    SELECT
        *,
        fell AND NOT rebooted AS behind,
        coalesce(lead(fell AND NOT rebooted) OVER host, false) AS next_behind,
        NOT (fell AND rebooted) AND coalesce(
            fell
            OR greatest(abs(drift_us), abs(set_us), asleep_us) > us_per_second(),
            false
        ) AS stepped
    FROM noted
    WINDOW host AS (PARTITION BY node ORDER BY ts_us, next_us)
)
SELECT
    node,
    ts_us,
    CASE WHEN stepped THEN before_us ELSE ts_us END AS from_us,
    CASE WHEN abs(off_us) > us_per_second() THEN next_us ELSE ts_us END AS to_us,
    CASE
        -- Of notes that take turns, those of the later run seem to be set forward.
        WHEN behind OR (stepped AND next_behind) THEN 'runs overlap'
        WHEN stepped AND asleep_us > us_per_second() THEN 'suspended'
        ELSE 'wall clock set'
    END AS why,
    off_us,
    set_us,
    asleep_us
FROM moved
WHERE stepped OR abs(off_us) > us_per_second()
