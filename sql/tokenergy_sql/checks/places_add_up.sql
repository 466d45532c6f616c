-- What racks, modules, halls and the site drew is what the ledger has of the nodes in them.
-- fail, hourly
-- In: place_hour, ledger_hour. Out: nodes and places whose energy or board time differs.
--
-- A node is in one rack at a time: its stays add up to its rows of the ledger, to the nanojoule,
-- and the stays in a place to the place. Nodes in no rack are in `unplaced`.
WITH
booked AS (
    SELECT
        hour_us,
        'node:' || node AS place,
        coalesce(sum(energy_nj), 0)::HUGEINT AS energy_nj,
        sum(device_us)::HUGEINT AS device_us
    FROM ledger_hour
    SEMI JOIN place_hour USING (hour_us)
    GROUP BY ALL
),
stay AS (
    SELECT
        hour_us, place, hall, "module", rack, present_us,
        coalesce(energy_nj, 0)::HUGEINT AS energy_nj,
        device_us::HUGEINT AS device_us
    FROM place_hour
    WHERE kind = 'node'
),
of_node AS (
    SELECT
        hour_us, place,
        sum(energy_nj) AS energy_nj,
        sum(device_us) AS device_us,
        sum(present_us) AS present_us
    FROM stay
    GROUP BY ALL
),
-- Where a place of each kind must be, of the nodes in it.
inside AS (
    SELECT hour_us, 'rack:' || rack AS place, hall, "module", energy_nj, device_us
    FROM stay
    WHERE rack IS NOT NULL
    UNION ALL
    SELECT hour_us, 'module:' || "module", hall, "module", energy_nj, device_us
    FROM stay
    WHERE "module" IS NOT NULL
    UNION ALL
    SELECT hour_us, 'hall:' || hall, hall, NULL, energy_nj, device_us
    FROM stay
    WHERE hall IS NOT NULL
    UNION ALL
    SELECT
        hour_us, CASE WHEN rack IS NULL THEN 'unplaced' ELSE 'site' END, NULL, NULL,
        energy_nj, device_us
    FROM stay
),
expected AS (
    SELECT
        hour_us, place, hall, "module",
        sum(energy_nj) AS energy_nj,
        sum(device_us) AS device_us
    FROM inside
    GROUP BY ALL
),
place_sum AS (
    SELECT
        hour_us, place, hall, "module",
        sum(coalesce(energy_nj, 0))::HUGEINT AS energy_nj,
        sum(device_us)::HUGEINT AS device_us
    FROM place_hour
    WHERE kind <> 'node' AND "method" = 'boards'
    GROUP BY ALL
)
SELECT
    strftime(make_timestamp(coalesce(b.hour_us, n.hour_us)), '%Y-%m-%dT%H:00Z') AS hour,
    coalesce(b.place, n.place) AS place,
    n.energy_nj AS has_nj,
    b.energy_nj AS expected_nj,
    n.device_us AS has_us,
    b.device_us AS expected_us
FROM booked AS b
FULL JOIN of_node AS n ON n.hour_us = b.hour_us AND n.place = b.place
WHERE
    coalesce(n.energy_nj, 0) <> coalesce(b.energy_nj, 0)
    OR coalesce(n.device_us, 0) <> coalesce(b.device_us, 0)
    OR n.place IS NULL
    OR n.present_us > us_per_hour()
UNION ALL
SELECT
    strftime(make_timestamp(coalesce(e.hour_us, p.hour_us)), '%Y-%m-%dT%H:00Z'),
    coalesce(e.place, p.place),
    p.energy_nj AS has_nj,
    e.energy_nj AS expected_nj,
    p.device_us AS has_us,
    e.device_us AS expected_us
FROM expected AS e
FULL JOIN place_sum AS p
    ON p.hour_us = e.hour_us AND p.place = e.place
    AND p.hall IS NOT DISTINCT FROM e.hall AND p."module" IS NOT DISTINCT FROM e."module"
WHERE
    p.energy_nj IS DISTINCT FROM e.energy_nj
    OR p.device_us IS DISTINCT FROM e.device_us
ORDER BY ALL
