-- What is booked of a meter is what its raw readings say.
-- fail, hourly
-- In: meter_hour, meter, removed_hour. Out: the meters and hours of which it is not.
--
-- The readings of the hour, the last before it and the first after it, each at most an hour away,
-- are counted again by SQL that shares no code with the integration. A register that counts: what
-- it grew by between each two readings; at the hour's edges, as much of that as of the time. A
-- momentary value: the area under straight lines between readings that are close enough. Unit,
-- scale, rollover and interval are those of the row, which says what the site file had.
--
-- Amounts may differ by 2 base units and one more for each break (the books round down at each end
-- of a stretch), and by 1e-12 of what was added up (here it is added up as DOUBLE). Covered time,
-- the number of readings and the longest gap must be equal, and low <= amount <= high.
--
-- Less is checked where the row does not say enough. Of a register whose growth the books doubt
-- although it could have rolled over (fell), or might be too fast (too_fast, ambiguous): no more is
-- booked than all its growth, and for no longer. Where two hosts read different values in one
-- microsecond, or several entries of the site file hold near the hour (a meter replaced, a
-- corrected scale): 0 <= covered_us <= 1 h. Where readings were left out that stood still while
-- their neighbours moved (stale): no more readings and time, and no shorter gap, than the raw rows
-- have. Not checked are the width of the bounds, and whether the site file is right.
--
-- Readings that came after the books are named here too: run `tokenergy index`. Where readings of
-- an hour or next to it were removed after they were booked, nothing can be counted again.
WITH
left_out AS (
    SELECT hour_us, node FROM removed_hour SEMI JOIN meter_hour USING (hour_us)
),
entry AS (
    SELECT
        *,
        quantity IN ('energy', 'volume') AS counts,
        hour_us + us_per_hour() AS end_us,
        modulus_n::HUGEINT AS modulus
    FROM meter_hour
    WHERE hour_us NOT IN (SELECT hour_us FROM left_out)
),
stamp AS (
    SELECT
        meter_id,
        ts_us,
        min(value_n)::HUGEINT AS value_n,
        count(DISTINCT value_n) > 1 AS several
    FROM meter
    GROUP BY ALL
),
pair AS (
    SELECT
        e.meter_id, e.hour_us, e.end_us, e.counts, e.modulus, e.interval_us,
        s.ts_us AS t0,
        lead(s.ts_us) OVER meter AS t1,
        s.value_n AS v0,
        lead(s.value_n) OVER meter AS v1,
        s.several OR lead(s.several) OVER meter AS several,
        t1 - t0 AS dt,
        greatest(t0, e.hour_us) - t0 AS x0,
        least(t1, e.end_us) - t0 AS x1
    FROM entry AS e
    JOIN stamp AS s
        ON s.meter_id = e.meter_id
        AND s.ts_us >= e.hour_us - us_per_hour() AND s.ts_us < e.end_us + us_per_hour()
    WINDOW meter AS (PARTITION BY e.meter_id, e.hour_us ORDER BY s.ts_us)
    QUALIFY t1 > e.hour_us AND t0 < e.end_us
),
usual AS (
    SELECT meter_id, hour_us, quantile_disc(dt, 0.5) AS usual_us FROM pair GROUP BY ALL
),
-- What each pair adds in the hour, in the register's own unit; NULL: it is not known.
part AS (
    SELECT
        *,
        CASE
            WHEN least(v0, v1) < 0 OR greatest(v0, v1) >= modulus THEN NULL
            WHEN v1 >= v0 THEN v1 - v0
            ELSE v1 - v0 + modulus
        END AS grown_n,
        CASE
            WHEN counts THEN grown_n / 10 ** 9 * (x1 - x0) / dt
            WHEN dt <= greatest(3 * coalesce(interval_us, usual_us), 1500000)
                THEN (2 * v0::DOUBLE + (v1::DOUBLE - v0) / dt * (x0 + x1)) / 2e9 * seconds(x1 - x0)
        END AS own
    FROM pair
    JOIN usual USING (meter_id, hour_us)
),
counted AS (
    SELECT
        meter_id,
        hour_us,
        coalesce(kahan_sum(own), 0) AS own,
        coalesce(kahan_sum(abs(own)), 0) AS gross,
        (coalesce(sum(x1 - x0) FILTER (WHERE own IS NOT NULL), 0))::BIGINT AS known_us,
        count(*) FILTER (WHERE own IS NULL) AS breaks,
        max(dt) AS max_gap_us,
        bool_or(several) AS several
    FROM part
    GROUP BY ALL
),
listed AS (
    SELECT e.meter_id, e.hour_us, count(*) AS readings
    FROM entry AS e
    JOIN stamp AS s ON s.meter_id = e.meter_id AND s.ts_us >= e.hour_us AND s.ts_us < e.end_us
    GROUP BY ALL
),
judged AS (
    SELECT
        e.*,
        contains(coalesce(doubts, ''), 'stale') AS stale,
        coalesce(l.readings, 0) AS raw_readings,
        CASE WHEN factor IS NULL THEN 0 ELSE coalesce(c.known_us, 0) END AS raw_us,
        c.max_gap_us AS raw_gap_us,
        coalesce(c.own, 0) * factor AS raw_amount,
        coalesce(c.gross, 0) * factor * 1e-12 + coalesce(c.breaks, 0) + 2 AS tolerance,
        one_entry AND c.several IS NOT TRUE AND NOT stale AND NOT (
            counts AND (
                regexp_matches(coalesce(doubts, ''), 'too_fast|ambiguous')
                OR (modulus IS NOT NULL AND contains(coalesce(doubts, ''), 'fell'))
            )
        ) AS known,
        one_entry AND c.several IS NOT TRUE AND counts AND NOT stale AS at_most
    FROM entry AS e
    LEFT JOIN counted AS c USING (meter_id, hour_us)
    LEFT JOIN listed AS l USING (meter_id, hour_us)
)
SELECT
    meter_id,
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    amount,
    raw_amount,
    covered_us,
    raw_us AS raw_covered_us,
    readings,
    raw_readings
FROM judged
WHERE
    (readings <> raw_readings AND NOT (stale AND readings < raw_readings))
    OR (max_gap_us IS DISTINCT FROM raw_gap_us AND NOT (stale AND max_gap_us > raw_gap_us))
    OR (stale AND covered_us > raw_us)
    OR covered_us NOT BETWEEN 0 AND us_per_hour()
    OR (amount IS NULL) <> (covered_us = 0)
    OR NOT coalesce(low <= amount AND amount <= high, low IS NULL AND high IS NULL)
    OR (factor IS NOT NULL AND covered_us < us_per_hour() AND doubts IS NULL)
    OR (
        known
        AND (covered_us <> raw_us OR abs(coalesce(amount, 0)::DOUBLE - raw_amount) > tolerance)
    )
    OR (
        at_most
        AND (covered_us > raw_us OR amount::DOUBLE NOT BETWEEN 0 AND raw_amount + tolerance)
    )
ORDER BY ALL
