-- Where samples alone are booked, the bounds of time between sparse readings hold 0 to the limit.
-- fail, hourly
-- In: ledger, doubtful_power, board_reading, device, removed_hour. Out: the devices and hours in
-- which they are narrower.
--
-- Sparse are two neighbouring readings more than 1.5 s apart: a sensor saw a second of it. The
-- upper bound of a row holds the limit for that time; the lower bound of a row without other time
-- is 0. Rows of jobs that share a board are added up over a slot of 30 s. Of a board whose readings
-- of an hour are never that far apart, only rows before the first and after the last of them are
-- looked at. Rows of which a part is not covered are left out, and so are those of which readings
-- were removed after they were booked: nothing says how far apart those were.
WITH
left_out AS (
    SELECT hour_us, node FROM removed_hour
),
sampled AS (
    SELECT l.device_id, l.start_us, l.end_us, l.low_nj, l.high_nj, l.device_us, l.attribution
    FROM ledger AS l
    ANTI JOIN left_out AS r ON r.node = l.node AND r.hour_us = hour_of(l.start_us)
    WHERE l.meter = 'samples'
),
whole AS (
    SELECT device_id, start_us, end_us, low_nj::HUGEINT AS low_nj, high_nj::HUGEINT AS high_nj
    FROM sampled
    WHERE attribution = 'exclusive' AND device_us = end_us - start_us
    UNION ALL
    SELECT device_id, min(start_us), max(end_us), sum(low_nj), sum(high_nj)
    FROM sampled
    WHERE attribution <> 'exclusive'
    GROUP BY device_id, start_us // (30 * us_per_second())
    HAVING sum(device_us) = max(end_us) - min(start_us)
),
booked AS (
    SELECT w.*
    FROM whole AS w
    LEFT JOIN board_reading AS r
        ON r.device_id = w.device_id AND r.hour_us = hour_of(w.start_us)
    WHERE
        w.start_us < r.first_us OR w.end_us > r.last_us
        OR coalesce(r.widest_us > 3 * us_per_second() // 2, true)
),
told AS (
    SELECT
        device_id,
        min(limit_mw)::HUGEINT AS limit_mw,
        least(600 * us_per_second(), greatest(3 * max(update_us), 10 * us_per_second())) AS gap_us
    FROM device
    GROUP BY device_id
),
-- Readings as far away as power is known over at most: the gap limit, or more.
looked AS (
    SELECT device_id, min(from_us) AS from_us, max(to_us) AS to_us
    FROM (
        SELECT *, count(*) FILTER (WHERE begins) OVER board AS part
        FROM (
            SELECT
                *,
                coalesce(from_us > max(to_us) OVER (
                    PARTITION BY device_id ORDER BY from_us, to_us
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ), true) AS begins
            FROM (
                SELECT
                    b.device_id,
                    b.start_us - coalesce(t.gap_us, 600 * us_per_second()) AS from_us,
                    b.end_us + coalesce(t.gap_us, 600 * us_per_second()) AS to_us
                FROM booked AS b
                LEFT JOIN told AS t ON t.device_id = b.device_id
            )
        )
        WINDOW board AS (PARTITION BY device_id ORDER BY from_us, to_us)
    )
    GROUP BY device_id, part
),
reading AS (
    SELECT DISTINCT p.device_id, p.ts_us
    FROM doubtful_power AS p
    JOIN looked AS l ON l.device_id = p.device_id AND p.ts_us BETWEEN l.from_us AND l.to_us
    WHERE p.power_mw IS NOT NULL
),
pair AS (
    SELECT
        device_id,
        ts_us AS t0,
        coalesce(lead(ts_us) OVER device - ts_us > 3 * us_per_second() // 2, false) AS sparse,
        lead(ts_us) OVER device - ts_us AS apart_us
    FROM reading
    WINDOW device AS (PARTITION BY device_id ORDER BY ts_us)
),
-- How much sparse time there was up to each reading.
passed AS (
    SELECT
        device_id, t0, sparse,
        coalesce(sum(apart_us) FILTER (WHERE sparse) OVER (
            PARTITION BY device_id ORDER BY t0
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), 0) AS before_us
    FROM pair
),
judged AS (
    SELECT
        b.*,
        b.end_us - b.start_us AS length_us,
        z.before_us + CASE WHEN z.sparse THEN b.end_us - z.t0 ELSE 0 END
        - a.before_us - CASE WHEN a.sparse THEN b.start_us - a.t0 ELSE 0 END AS sparse_us
    FROM booked AS b
    ASOF JOIN passed AS a ON a.device_id = b.device_id AND a.t0 <= b.start_us
    ASOF JOIN passed AS z ON z.device_id = b.device_id AND z.t0 <= b.end_us
)
SELECT
    j.device_id,
    strftime(make_timestamp(hour_of(j.start_us)), '%Y-%m-%dT%H:00Z') AS hour,
    count(*) AS rows,
    max(low_nj) AS largest_low_nj,
    min(high_nj) AS smallest_high_nj
FROM judged AS j
LEFT JOIN told AS t ON t.device_id = j.device_id
WHERE
    (low_nj > 0 AND sparse_us = length_us)
    OR high_nj < coalesce(limit_mw, 1500000) * sparse_us
GROUP BY ALL
ORDER BY ALL
