-- Power of the whole fleet over time, by window.
-- In: ledger, ledger_hour (where windows are whole hours), ledger_by_segment (where they are no
-- multiples of 30 s: that takes far longer); every, the window: an INTERVAL or seconds, 1 ms at
-- least; since and till, instants between which windows begin (NULL: no limit). Out: one row a
-- window.
--
-- Energy booked between two cuts is spread evenly between them and divided at the edges of windows
-- by the telescoping rule, so that windows add up to the ledger. Windows are counted from 1970.
--
--   start_utc   start of the window, UTC
--   start_us    the same in microseconds
--   devices     devices in the ledger: device time / window
--   energy_nj   energy booked
--   mean_w      energy / window
--   low_w       lower bound of mean_w
--   high_w      upper bound of mean_w; unmetered time counts with the power limit
--   job_w       the part of mean_w that jobs held
--   coverage    device time with known power / device time in the ledger
CREATE MACRO fleet_power(every, since := NULL, till := NULL) AS TABLE
    WITH
    -- The same cuts on many devices are one cell. Of the sources one is read.
    cell AS (
        SELECT
            start_us, end_us,
            sum(energy_nj) AS energy_nj,
            sum(low_nj) AS low_nj,
            sum(high_nj) AS high_nj,
            sum(energy_nj) FILTER (WHERE job_id IS NOT NULL) AS job_nj,
            sum(device_us) AS device_us,
            sum(covered_us) AS covered_us
        FROM ledger
        WHERE
            span_us(every) % 30000000 = 0
            AND span_us(every) % 3600000000 <> 0
            AND start_us < coalesce(stamp_us(till), 9000000000000000) + span_us(every)
            AND start_us > coalesce(stamp_us(since), -9000000000000000) - 3600000000
        GROUP BY start_us, end_us
        UNION ALL
        SELECT
            start_us, end_us,
            sum(energy_nj), sum(low_nj), sum(high_nj),
            sum(energy_nj) FILTER (WHERE job_id IS NOT NULL),
            sum(device_us), sum(covered_us)
        FROM ledger_by_segment(since := since, till := stamp_us(till) + span_us(every))
        WHERE span_us(every) >= 1000 AND span_us(every) % 30000000 <> 0
        GROUP BY start_us, end_us
        UNION ALL
        SELECT
            hour_us, hour_us + 3600000000,
            sum(energy_nj), sum(low_nj), sum(high_nj),
            sum(energy_nj) FILTER (WHERE job_id IS NOT NULL),
            sum(device_us), sum(covered_us)
        FROM ledger_hour
        WHERE span_us(every) % 3600000000 = 0
        GROUP BY hour_us
    ),
    divided AS (
        SELECT
            *,
            unnest(range(
                start_us - start_us % span_us(every), end_us, span_us(every)
            ))::BIGINT AS window_us,
            greatest(0, window_us - start_us) AS lower,
            least(end_us, window_us + span_us(every)) - start_us AS upper,
            end_us - start_us AS whole
        FROM cell
    ),
    summed AS (
        SELECT
            window_us,
            sum(part_of(energy_nj, lower, upper, whole)) AS energy_nj,
            sum(part_of(low_nj, lower, upper, whole)) AS low_nj,
            sum(part_of(high_nj, lower, upper, whole)) AS high_nj,
            coalesce(sum(part_of(job_nj, lower, upper, whole)), 0) AS job_nj,
            sum(part_of(device_us, lower, upper, whole)) AS device_us,
            sum(part_of(covered_us, lower, upper, whole)) AS covered_us
        FROM divided
        WHERE
            window_us >= coalesce(stamp_us(since), -9000000000000000)
            AND window_us < coalesce(stamp_us(till), 9000000000000000)
        GROUP BY window_us
    )
    -- nJ / us = mW
    SELECT
        utc(window_us) AS start_utc,
        window_us AS start_us,
        device_us / span_us(every) AS devices,
        energy_nj::DECIMAL(38, 0) AS energy_nj,
        energy_nj / span_us(every) / 1e3 AS mean_w,
        low_nj / span_us(every) / 1e3 AS low_w,
        high_nj / span_us(every) / 1e3 AS high_w,
        job_nj / span_us(every) / 1e3 AS job_w,
        covered_us / nullif(device_us, 0) AS coverage
    FROM summed
    UNION ALL BY NAME
    SELECT CASE WHEN good THEN make_timestamp(0) END AS start_utc
    FROM (
        SELECT
            good_argument(
                span_us(every) >= 1000
                AND (since IS NULL OR stamp_us(since) IS NOT NULL)
                AND (till IS NULL OR stamp_us(till) IS NOT NULL),
                'fleet_power: expected an INTERVAL or seconds, 1 ms at least, and instants as '
                'TIMESTAMP or ISO 8601'
            ) AS good
    ) AS argument
    WHERE NOT good
    ORDER BY start_utc
