-- Losses between the meter before a UPS and the meters behind it.
-- In: site_frame, meter_hour, ups_pair (meter, below, from_us, to_us: hours). Out: one row:
-- energy_j, NULL if they are known in no hour; covered, the share of the hours in which they are.
-- An hour counts if all of its meters are known throughout: a difference needs the same time.
WITH
below AS (
    SELECT
        p.meter, m.hour_us,
        count(*) AS present,
        sum(m.amount)::DOUBLE AS amount,
        min(m.covered_us) AS least_us
    FROM ups_pair AS p
    JOIN meter_hour AS m
        ON m.meter_id = p.below AND m.hour_us >= p.from_us AND m.hour_us < p.to_us
    SEMI JOIN site_frame AS f ON f.hour_us = m.hour_us
    GROUP BY p.meter, m.hour_us
),
expected AS (
    SELECT p.meter, f.hour_us, count(*) AS meters
    FROM ups_pair AS p
    JOIN site_frame AS f ON f.hour_us >= p.from_us AND f.hour_us < p.to_us
    GROUP BY p.meter, f.hour_us
),
lost AS (
    SELECT
        CASE
            WHEN
                b.present = e.meters AND b.least_us = us_per_hour()
                AND u.covered_us = us_per_hour()
                THEN u.amount::DOUBLE - b.amount
        END AS loss_nj
    FROM expected AS e
    LEFT JOIN below AS b ON b.meter = e.meter AND b.hour_us = e.hour_us
    LEFT JOIN meter_hour AS u ON u.meter_id = e.meter AND u.hour_us = e.hour_us
)
SELECT joules(sum(loss_nj)) AS energy_j, count(loss_nj) / nullif(count(*), 0) AS covered
FROM lost
