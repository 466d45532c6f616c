-- The sums of the building's figures are those of their meters.
-- fail, hourly
-- In: site_hour, meter_hour. Out: the figures and sides whose sums are not.
--
-- Of a figure that is known for the whole hour, each sum is that of the booked amounts of its
-- meters, with their signs, to the last base unit, and so are its bounds: unknown where any of
-- theirs are. A figure is known for no more time than any of its meters, and `missing` names those
-- that are not known for all of it. Each meter has a row of its hour, and a role that belongs into
-- the sum: only `export` is taken off, only `renewable` is above the line of `ref`.
--
-- Less is checked of a figure that is not known for the whole hour, as `meter_hour` has no parts of
-- it: low <= sum <= high, the time and the roles. Where the meters of the figure changed within the
-- hour: low <= sum <= high. Figures that are modelled are the matter of `modelled_adds_up`. Not
-- checked is whether a meter is missing from a sum: that depends on what feeds what. The amounts
-- themselves are the matter of `meter_law`. CUE and the score of clean energy are not sums of
-- meters alone: they are left out.
WITH
role_of (name, role_sign, role) AS (
    VALUES
    ('facility', 1, 'utility'),
    ('facility', 1, 'generator'),
    ('facility', 1, 'renewable'),
    ('facility', 1, 'district_cooling'),
    ('facility', -1, 'export'),
    ('renewable', 1, 'renewable'),
    ('it', 1, 'ups_out'),
    ('it', 1, 'pdu_out'),
    ('it', 1, 'rack_in'),
    ('it', 1, 'it'),
    ('cooling', 1, 'cooling'),
    ('cooling', 1, 'chiller'),
    ('cooling', 1, 'tower'),
    ('cooling', 1, 'pump'),
    ('cooling', 1, 'fan'),
    ('cooling', 1, 'cdu'),
    ('other', 1, 'lighting'),
    ('other', 1, 'other'),
    ('losses', 1, 'ups_in'),
    ('losses', 1, 'pdu_in'),
    ('losses', -1, 'ups_out'),
    ('losses', -1, 'pdu_out'),
    ('losses', -1, 'rack_in'),
    ('losses', -1, 'it'),
    ('losses', -1, 'cooling'),
    ('losses', -1, 'chiller'),
    ('losses', -1, 'tower'),
    ('losses', -1, 'pump'),
    ('losses', -1, 'fan'),
    ('losses', -1, 'cdu'),
    ('losses', -1, 'lighting'),
    ('losses', -1, 'other'),
    ('reused', 1, 'heat_reused'),
    ('water', 1, 'water_in'),
    ('intake', 1, 'utility'),
    ('intake', 1, 'generator'),
    ('intake', 1, 'renewable'),
    ('intake', 1, 'district_cooling'),
    ('intake', -1, 'export'),
    ('intake', 1, 'feeder'),
    ('intake', 1, 'ups_in'),
    ('intake', 1, 'ups_out'),
    ('intake', 1, 'pdu_in'),
    ('intake', 1, 'pdu_out'),
    ('intake', 1, 'rack_in'),
    ('intake', 1, 'it'),
    ('intake', 1, 'cooling'),
    ('intake', 1, 'chiller'),
    ('intake', 1, 'tower'),
    ('intake', 1, 'pump'),
    ('intake', 1, 'fan'),
    ('intake', 1, 'cdu'),
    ('intake', 1, 'lighting'),
    ('intake', 1, 'other')
),
line (figure, above_name, below_name) AS (
    VALUES
    ('pue', 'facility', 'it'),
    ('intake', 'intake', 'it'),
    ('cooling', 'cooling', 'it'),
    ('other', 'other', 'it'),
    ('losses', 'losses', 'it'),
    ('wue', 'water', 'it'),
    ('erf', 'reused', 'facility'),
    ('ref', 'renewable', 'facility'),
    ('facility', 'facility', NULL),
    ('it', 'it', NULL)
),
side AS (
    SELECT
        s.place, s.hour_us, s.figure, s.covered_us, s.changed, s.missing,
        unnest(['above', 'below']) AS side,
        unnest([s.above, s.below])::HUGEINT AS booked,
        unnest([s.above_low, s.below_low])::HUGEINT AS low,
        unnest([s.above_high, s.below_high])::HUGEINT AS high,
        unnest([s.above_meters, s.below_meters]) AS meters,
        unnest([l.above_name, l.below_name]) AS name
    FROM site_hour AS s
    LEFT JOIN line AS l USING (figure)
    WHERE s.figure NOT IN ('losses_modelled', 'pue_modelled', 'cue', 'cfe')
),
term AS (
    SELECT
        s.place, s.hour_us, s.figure, s.side, s.changed,
        e.key AS meter_id,
        e.value::INT AS sign,
        m.amount::HUGEINT AS amount,
        CASE WHEN sign > 0 THEN m.low ELSE -m.high END::HUGEINT AS low,
        CASE WHEN sign > 0 THEN m.high ELSE -m.low END::HUGEINT AS high,
        coalesce(m.covered_us, 0) AS covered_us,
        -- A role of a part of the hour is not that of the row.
        m.meter_id IS NULL OR (m.one_entry AND r.role IS NULL) AS stray
    FROM side AS s, json_each(s.meters) AS e
    LEFT JOIN meter_hour AS m ON m.meter_id = e.key AND m.hour_us = s.hour_us
    LEFT JOIN role_of AS r ON r.name = s.name AND r.role_sign = e.value::INT AND r.role = m.role
),
summed AS (
    SELECT
        place, hour_us, figure, side,
        sum(sign * amount) AS amount,
        CASE WHEN count(low) = count(*) THEN sum(low) END AS low,
        CASE WHEN count(high) = count(*) THEN sum(high) END AS high,
        count(*) AS meters,
        bool_or(stray) AS stray
    FROM term
    GROUP BY ALL
),
known AS (
    SELECT
        place, hour_us, figure,
        min(covered_us) AS most_us,
        string_agg(DISTINCT meter_id, ',' ORDER BY meter_id)
        FILTER (WHERE covered_us < us_per_hour()) AS missing
    FROM term
    GROUP BY ALL
),
judged AS (
    SELECT
        s.place, s.hour_us, s.figure, s.side, s.booked, s.covered_us, s.meters,
        coalesce(t.amount, 0) AS amount,
        (s.booked IS NULL) <> (s.covered_us = 0)
        OR s.covered_us NOT BETWEEN 0 AND us_per_hour()
        OR NOT coalesce(s.low <= s.booked AND s.booked <= s.high, s.low IS NULL AND s.high IS NULL)
            AS unbounded,
        NOT s.changed AND (
            s.covered_us > k.most_us
            OR s.missing IS DISTINCT FROM k.missing
            OR t.stray IS TRUE
            OR (s.name IS NULL) <> (t.meters IS NULL)
        ) AS of_others,
        NOT s.changed AND s.covered_us = us_per_hour() AND (
            s.booked <> coalesce(t.amount, 0)
            -- A line without meters is an exact 0.
            OR s.low IS DISTINCT FROM CASE WHEN t.meters IS NULL THEN 0 ELSE t.low END
            OR s.high IS DISTINCT FROM CASE WHEN t.meters IS NULL THEN 0 ELSE t.high END
        ) AS unequal
    FROM side AS s
    LEFT JOIN summed AS t USING (place, hour_us, figure, side)
    LEFT JOIN known AS k USING (place, hour_us, figure)
)
SELECT
    place,
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    figure,
    side,
    booked,
    amount AS of_meters,
    covered_us,
    meters
FROM judged
WHERE unbounded OR of_others OR unequal
ORDER BY ALL
