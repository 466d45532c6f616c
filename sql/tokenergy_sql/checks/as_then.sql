-- A node's hour is at the site that was recorded of its boards by then, and not later.
-- fail, hourly
-- In: device, ledger, node_hour. Out: nodes and hours whose site is another one.
--
-- By another road than the index: the raw rows of devices, each with the instant of the next one.
WITH
-- Of two nodes that recorded a board at one stamp, the first by name counts.
recorded AS (
    SELECT
        device_id,
        ts_us,
        coalesce(arg_min(struct_pack(site := site), node).site, '') AS site,
        row_number() OVER (PARTITION BY device_id ORDER BY ts_us) AS number
    FROM device
    GROUP BY device_id, ts_us
),
held AS (
    SELECT
        r.device_id,
        r.site,
        CASE WHEN r.number > 1 THEN r.ts_us ELSE 0 END AS from_us,
        coalesce(n.ts_us, 9000000000000000) AS to_us
    FROM recorded AS r
    LEFT JOIN recorded AS n ON n.device_id = r.device_id AND n.number = r.number + 1
),
booked AS (
    SELECT DISTINCT hour_of(start_us) AS hour_us, device_id, node FROM ledger
),
located AS (
    SELECT
        b.hour_us, b.node,
        nullif(min(coalesce(h.site, '')), '') AS site
    FROM booked AS b
    LEFT JOIN held AS h
        ON h.device_id = b.device_id
        AND h.from_us < b.hour_us + us_per_hour() AND h.to_us >= b.hour_us + us_per_hour()
    GROUP BY ALL
)
SELECT
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    node,
    n.site AS index_site,
    l.site AS recorded_site
FROM located AS l
JOIN node_hour AS n USING (hour_us, node)
WHERE n.site IS DISTINCT FROM l.site
ORDER BY ALL
