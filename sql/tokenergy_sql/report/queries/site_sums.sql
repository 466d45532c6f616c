-- What the meters of the site's sums counted in these hours, by role.
-- In: site_frame, site_hour, meter_hour, $base. Out: figure ($base, cooling, other), role,
-- energy_j, covered (share of its meters' time that is known).
--
-- Each meter counts for as long as it is known by itself: a chiller that was not read for a minute
-- takes nothing from the others. What comes in is scaled to the sum of the time in which all its
-- meters are known, so that the roles add up to the figure of the site.
WITH
counted AS (
    SELECT s.hour_us, s.figure, unnest(json_keys(s.above_meters)) AS meter_id
    FROM site_hour AS s
    SEMI JOIN site_frame AS f ON f.hour_us = s.hour_us
    WHERE s.place = 'site' AND s.figure IN ($base, 'cooling', 'other')
),
by_hour AS (
    SELECT
        c.figure, c.hour_us,
        m.role,
        sum(m.amount)::DOUBLE AS amount,
        sum(m.covered_us)::DOUBLE AS covered_us,
        count(*) AS meters
    FROM counted AS c
    JOIN meter_hour AS m ON m.meter_id = c.meter_id AND m.hour_us = c.hour_us
    GROUP BY c.figure, c.hour_us, m.role
),
net AS (
    SELECT
        figure, hour_us,
        sum(CASE role WHEN 'export' THEN -amount ELSE amount END) AS net_nj
    FROM by_hour
    GROUP BY figure, hour_us
)
SELECT
    b.figure,
    b.role,
    joules(
        sum(
            CASE
                WHEN b.figure = $base THEN b.amount * f.in_nj / nullif(n.net_nj, 0)
                ELSE b.amount
            END
        )
    ) AS energy_j,
    sum(b.covered_us) / (us_per_hour() * sum(b.meters)) AS covered
FROM by_hour AS b
JOIN site_frame AS f ON f.hour_us = b.hour_us
JOIN net AS n ON n.figure = b.figure AND n.hour_us = b.hour_us
WHERE b.figure <> 'it'
GROUP BY b.figure, b.role
ORDER BY b.figure, b.role
