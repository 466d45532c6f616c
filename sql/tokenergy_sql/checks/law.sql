-- The ledger adds up to the meter on every device and hour, to the nanojoule.
-- fail, hourly
-- In: ledger, power, device. Out: the devices and hours in which it does not.
--
-- The meter is read again from the raw rows, by SQL that shares no code with the integration: the
-- counter's difference (linear between readings, rounded down) over every run of segments that the
-- ledger books by counter; the integral of the readings over every run that it books by samples.
WITH
booked AS (
    SELECT
        device_id, start_us, end_us,
        hour_of(start_us) AS hour_us,
        max(meter) FILTER (WHERE meter <> 'none') AS meter,
        sum(energy_nj) AS energy_nj
    FROM ledger
    GROUP BY ALL
),
marked AS (
    SELECT
        *,
        (
            meter IS DISTINCT FROM lag(meter) OVER hour
            OR start_us IS DISTINCT FROM lag(end_us) OVER hour
        )::INT AS begins
    FROM booked
    WINDOW hour AS (PARTITION BY device_id, hour_us ORDER BY start_us)
),
numbered AS (
    SELECT
        *, sum(begins) OVER (PARTITION BY device_id, hour_us ORDER BY start_us) AS run
    FROM marked
),
run AS (
    SELECT
        device_id, hour_us, run, meter,
        min(start_us) AS a_us,
        max(end_us) AS b_us,
        sum(energy_nj) AS booked_nj
    FROM numbered
    WHERE meter IS NOT NULL
    GROUP BY ALL
),
-- The counter, read again --------------------------------------------------------------------
counter_row AS (
    SELECT device_id, ts_us, min(energy_mj) AS mj
    FROM power
    WHERE energy_mj IS NOT NULL
    GROUP BY device_id, ts_us
),
span AS (
    SELECT
        device_id,
        ts_us AS t0,
        mj AS c0,
        lead(ts_us) OVER device AS t1,
        lead(mj) OVER device AS c1
    FROM counter_row
    WINDOW device AS (PARTITION BY device_id ORDER BY ts_us)
),
edge AS (
    SELECT DISTINCT device_id, edge_us
    FROM (
        SELECT device_id, a_us AS edge_us FROM run WHERE meter = 'counter'
        UNION ALL
        SELECT device_id, b_us FROM run WHERE meter = 'counter'
    )
),
counter_at AS (
    SELECT
        e.device_id,
        e.edge_us,
        nanojoules(s.c0::HUGEINT) + CASE
            WHEN e.edge_us = s.t0 THEN 0
            ELSE nanojoules((s.c1 - s.c0)::HUGEINT) * (e.edge_us - s.t0) // (s.t1 - s.t0)
        END AS nj
    FROM edge AS e
    ASOF JOIN span AS s ON s.device_id = e.device_id AND s.t0 <= e.edge_us
),
-- The samples, integrated again ----------------------------------------------------------------
reading AS (
    SELECT device_id, ts_us, min(power_mw) AS mw
    FROM power
    WHERE
        power_mw IS NOT NULL
        AND device_id IN (SELECT device_id FROM run WHERE meter = 'samples')
    GROUP BY device_id, ts_us
),
pair AS (
    SELECT
        device_id,
        ts_us AS t0,
        mw::HUGEINT AS p0,
        lead(ts_us) OVER device AS t1,
        lead(mw) OVER device::HUGEINT AS p1
    FROM reading
    WINDOW device AS (PARTITION BY device_id ORDER BY ts_us)
),
-- The gap limit of an hour: from the update period known by then, or else the first one recorded.
gap_limit AS (
    SELECT
        r.device_id,
        r.hour_us,
        least(greatest(3 * coalesce(
            arg_max(d.update_us, (d.ts_us, d.update_us))
            FILTER (WHERE d.ts_us < r.hour_us + us_per_hour()),
            arg_min(d.update_us, (d.ts_us, d.update_us)),
            0
        ), 3 * us_per_second() // 2), 600 * us_per_second()) AS limit_us
    FROM (SELECT DISTINCT device_id, hour_us FROM run) AS r
    LEFT JOIN device AS d ON d.device_id = r.device_id AND d.update_us IS NOT NULL
    GROUP BY r.device_id, r.hour_us
),
part AS (
    SELECT
        r.device_id, r.hour_us, r.run,
        p.p0, p.p1 - p.p0 AS rise, (p.t1 - p.t0)::HUGEINT AS dt,
        (greatest(p.t0, r.a_us) - p.t0)::HUGEINT AS x0,
        (least(p.t1, r.b_us) - p.t0)::HUGEINT AS x1
    FROM run AS r
    JOIN gap_limit AS g ON g.device_id = r.device_id AND g.hour_us = r.hour_us
    JOIN pair AS p ON p.device_id = r.device_id AND p.t0 < r.b_us AND p.t1 > r.a_us
    WHERE r.meter = 'samples' AND p.t1 - p.t0 <= g.limit_us
),
integral AS (
    SELECT
        device_id, hour_us, run,
        sum(
            (2 * p0 * dt + rise * x1) * x1 // (2 * dt)
            - (2 * p0 * dt + rise * x0) * x0 // (2 * dt)
        ) AS nj
    FROM part
    GROUP BY ALL
),
metered AS (
    SELECT
        r.*,
        CASE r.meter WHEN 'counter' THEN b.nj - a.nj ELSE i.nj END AS metered_nj
    FROM run AS r
    LEFT JOIN counter_at AS a ON a.device_id = r.device_id AND a.edge_us = r.a_us
    LEFT JOIN counter_at AS b ON b.device_id = r.device_id AND b.edge_us = r.b_us
    LEFT JOIN integral AS i
        ON i.device_id = r.device_id AND i.hour_us = r.hour_us AND i.run = r.run
)
SELECT
    device_id,
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    sum(booked_nj) AS ledger_nj,
    sum(metered_nj) AS meter_nj,
    sum(booked_nj) - sum(metered_nj) AS difference_nj
FROM metered
GROUP BY device_id, hour_us
HAVING bool_or(booked_nj IS DISTINCT FROM metered_nj)
ORDER BY device_id, hour_us
