-- The power of each device at an instant.
-- In: segment, place_at, allocation; moment, a TIMESTAMP, ISO 8601 text or microseconds.
-- Out: one row a device that has a segment at the instant.
--
-- The figures are those of the segment that contains the instant; at a cut, of the later one.
-- Places are those of the instant.
--
--   from_us    start of the segment
--   to_us      end of the segment
--   mean_w     mean power of the covered time; NULL if no power is known
--   min_w      smallest reading in the segment
--   max_w      largest reading in the segment
--   coverage   covered time / length
--   jobs       jobs that held the device at the instant, joined by +; NULL if none
CREATE MACRO power_at(moment) AS TABLE
    WITH
    there AS (
        SELECT *
        FROM segment
        WHERE
            start_us <= stamp_us(moment)
            AND end_us > stamp_us(moment)
            AND start_us > stamp_us(moment) - 3600000000
    ),
    held AS (
        SELECT device_id, string_agg(DISTINCT job_id, '+' ORDER BY job_id) AS jobs
        FROM allocation
        WHERE
            start_us <= stamp_us(moment)
            AND (end_us IS NULL OR end_us > stamp_us(moment))
        GROUP BY device_id
    )
    SELECT
        t.device_id,
        t.node,
        p.gpu, p.rack, p.pod, p.hall, p.site,
        t.start_us AS from_us,
        t.end_us AS to_us,
        t.mean_mw / 1e3 AS mean_w,
        t.min_mw / 1e3 AS min_w,
        t.max_mw / 1e3 AS max_w,
        t.covered_us / (t.end_us - t.start_us) AS coverage,
        h.jobs
    FROM there AS t
    LEFT JOIN place_at AS p
        ON p.device_id = t.device_id
        AND p.from_us <= stamp_us(moment) AND p.to_us > stamp_us(moment)
    LEFT JOIN held AS h ON h.device_id = t.device_id
    UNION ALL BY NAME
    SELECT good::VARCHAR AS device_id, good::VARCHAR AS node
    FROM (
        SELECT
            good_argument(
                stamp_us(moment) IS NOT NULL,
                'power_at: expected a TIMESTAMP, ISO 8601 or microseconds'
            ) AS good
    ) AS argument
    WHERE NOT good
    ORDER BY mean_w DESC NULLS LAST, device_id
