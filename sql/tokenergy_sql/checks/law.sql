-- The ledger adds up to the meter on every device and hour, to the nanojoule; no time is left out.
-- fail, hourly, by device
-- In: ledger, booked_run, known_limit, run_edge, unread_time, doubtful_power, device, removed_hour.
-- Out: the devices and hours in which it does not.
--
-- The meter is read again from the raw rows, by SQL that shares no code with the integration: the
-- counter's difference (linear between readings, rounded down) over every stretch of time that the
-- ledger books by counter; the integral of the readings over every one that it books by samples.
-- And all time between two neighbouring readings of power within the gap limit must be booked.
--
-- A reading above what its board can draw is none (`known_limit`). Where one stamp has several
-- powers, the integral must lie between those of the lowest and of the highest.
-- Where the counter had a glitch, which of its readings are right is a judgement: such a stretch
-- need only be what its board can have drawn.
-- Where readings of an hour, or next to it, were removed after they were booked, the meter cannot
-- be read again.
WITH
left_out AS (
    SELECT hour_us, node FROM removed_hour
),
unread AS (
    SELECT DISTINCT l.device_id, r.hour_us
    FROM left_out AS r
    JOIN ledger AS l ON l.node = r.node AND hour_of(l.start_us) = r.hour_us
),
-- The counter, read again --------------------------------------------------------------------
-- Of most boards it is known at the edges of an hour, and needed nowhere else.
far_row AS (
    SELECT device_id, ts_us, min(energy_mj) AS mj
    FROM doubtful_power
    SEMI JOIN (SELECT device_id FROM run_edge WHERE NOT told) USING (device_id)
    WHERE energy_mj IS NOT NULL
    GROUP BY device_id, ts_us
),
far_span AS (
    SELECT
        device_id,
        ts_us AS t0,
        mj AS c0,
        lead(ts_us) OVER device AS t1,
        lead(mj) OVER device AS c1
    FROM far_row
    WINDOW device AS (PARTITION BY device_id ORDER BY ts_us)
),
at_edge AS (
    SELECT device_id, edge_us, t0, c0, t1, c1 FROM run_edge WHERE told
    UNION ALL
    SELECT e.device_id, e.edge_us, s.t0, s.c0, s.t1, s.c1
    FROM run_edge AS e
    ASOF JOIN far_span AS s ON s.device_id = e.device_id AND s.t0 <= e.edge_us
    WHERE NOT e.told
),
counter_at AS (
    SELECT
        device_id,
        edge_us,
        nanojoules(c0::HUGEINT) + CASE
            WHEN edge_us = t0 THEN 0
            ELSE nanojoules((c1 - c0)::HUGEINT) * (edge_us - t0) // (t1 - t0)
        END AS nj
    FROM at_edge
),
-- The samples, integrated again ----------------------------------------------------------------
-- Of boards that the ledger books by the counter through all the time of their readings, no single
-- reading is looked at.
booked_time AS (
    SELECT device_id, hour_us, sum(b_us - a_us) AS booked_us FROM booked_run GROUP BY ALL
),
-- Times that are apart stay so: a board may be booked by samples for a moment at both its ends.
widened AS (
    SELECT
        d.device_id,
        d.hour_us,
        d.from_us - m.limit_us AS from_us,
        d.to_us + m.limit_us AS to_us
    FROM unread_time AS d
    JOIN known_limit AS m USING (device_id, hour_us)
),
wanted AS (
    SELECT device_id, hour_us, min(from_us) AS from_us, max(to_us) AS to_us
    FROM (
        SELECT *, count(*) FILTER (WHERE begins) OVER board AS part
        FROM (
            SELECT
                *,
                coalesce(from_us > max(to_us) OVER (
                    PARTITION BY device_id, hour_us ORDER BY from_us, to_us
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ), true) AS begins
            FROM widened
        )
        WINDOW board AS (PARTITION BY device_id, hour_us ORDER BY from_us, to_us)
    )
    GROUP BY device_id, hour_us, part
),
reading AS (
    SELECT
        m.device_id, m.hour_us, m.limit_us, p.ts_us,
        min(p.power_mw) AS low_mw,
        max(p.power_mw) AS high_mw
    FROM known_limit AS m
    JOIN wanted AS w ON w.device_id = m.device_id AND w.hour_us = m.hour_us
    JOIN doubtful_power AS p
        ON p.device_id = m.device_id AND p.power_mw <= m.most_mw
        AND p.ts_us BETWEEN w.from_us AND w.to_us
    GROUP BY ALL
),
pair AS (
    SELECT
        device_id,
        hour_us,
        ts_us AS t0,
        lead(ts_us) OVER device AS t1,
        low_mw::BIGINT AS p0,
        lead(low_mw) OVER device::BIGINT AS p1,
        high_mw::BIGINT AS q0,
        lead(high_mw) OVER device::BIGINT AS q1
    FROM reading
    WINDOW device AS (PARTITION BY device_id, hour_us ORDER BY ts_us)
    QUALIFY t1 - t0 <= limit_us
),
part AS (
    SELECT
        r.device_id, r.hour_us, r.run,
        p.p0, p.p1, p.p1 - p.p0 AS rise, q0, q1, q1 - q0 AS steeper, p.t1 - p.t0 AS dt,
        greatest(p.t0, r.a_us) - p.t0 AS x0,
        least(p.t1, r.b_us) - p.t0 AS x1,
        x0 = 0 AND x1 = dt AS inside
    FROM booked_run AS r
    JOIN pair AS p
        ON p.device_id = r.device_id AND p.hour_us = r.hour_us
        AND p.t0 < r.b_us AND p.t1 > r.a_us
    WHERE r.meter = 'samples'
),
integral AS (
    SELECT
        device_id, hour_us, run,
        -- Of a pair that is wholly inside, half the sum of its powers, without 128-bit integers.
        sum(CASE
            WHEN inside THEN (p0 + p1) * dt // 2
            ELSE
                (2 * p0::HUGEINT * dt + rise * x1) * x1 // (2 * dt)
                - (2 * p0::HUGEINT * dt + rise * x0) * x0 // (2 * dt)
        END) AS nj,
        sum(CASE
            WHEN inside THEN (q0 + q1) * dt // 2
            ELSE
                (2 * q0::HUGEINT * dt + steeper * x1) * x1 // (2 * dt)
                - (2 * q0::HUGEINT * dt + steeper * x0) * x0 // (2 * dt)
        END) AS most_nj,
        -- Each part is rounded down by itself.
        count(*) FILTER (WHERE p0 < q0 OR rise <> steeper) AS off_nj
    FROM part
    GROUP BY ALL
),
metered AS (
    SELECT
        r.*,
        CASE r.meter WHEN 'counter' THEN b.nj - a.nj ELSE i.nj END AS metered_nj,
        (
            r.meter = 'counter' AND r.glitch
            AND r.booked_nj BETWEEN 0 AND m.most_mw * (r.b_us - r.a_us + us_per_second())
        ) OR (
            r.meter = 'samples'
            AND r.booked_nj BETWEEN i.nj - i.off_nj AND i.most_nj + i.off_nj
        ) AS possible
    FROM booked_run AS r
    JOIN known_limit AS m ON m.device_id = r.device_id AND m.hour_us = r.hour_us
    LEFT JOIN counter_at AS a ON a.device_id = r.device_id AND a.edge_us = r.a_us
    LEFT JOIN counter_at AS b ON b.device_id = r.device_id AND b.edge_us = r.b_us
    LEFT JOIN integral AS i
        ON i.device_id = r.device_id AND i.hour_us = r.hour_us AND i.run = r.run
),
-- All time ---------------------------------------------------------------------------------------
-- Time in which power is known, and what the ledger books of it by some meter.
known_time AS (
    SELECT
        device_id,
        hour_us,
        sum(least(t1, hour_us + us_per_hour()) - greatest(t0, hour_us)) AS known_us
    FROM pair
    WHERE t0 < hour_us + us_per_hour() AND t1 > hour_us
    GROUP BY ALL
),
unbooked AS (
    SELECT k.device_id, k.hour_us, k.known_us - coalesce(b.booked_us, 0) AS unbooked_us
    FROM known_time AS k
    LEFT JOIN booked_time AS b USING (device_id, hour_us)
    -- Files do not say the node: readings of two nodes next to one another are not neighbours.
    WHERE
        k.known_us > coalesce(b.booked_us, 0)
        AND k.device_id NOT IN
        (SELECT device_id FROM device GROUP BY device_id HAVING count(DISTINCT node) > 1)
),
wrong AS (
    SELECT
        device_id, hour_us,
        sum(booked_nj) AS ledger_nj,
        sum(metered_nj) AS meter_nj
    FROM metered
    GROUP BY ALL
    HAVING bool_or(booked_nj IS DISTINCT FROM metered_nj AND possible IS NOT TRUE)
)
SELECT
    device_id,
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    unbooked_us,
    ledger_nj,
    meter_nj,
    ledger_nj - meter_nj AS difference_nj
FROM wrong
FULL JOIN unbooked USING (device_id, hour_us)
ANTI JOIN unread USING (device_id, hour_us)
ORDER BY device_id, hour
