-- What the ledger books of each device without a break by one meter: from when to when, how much.
-- In: ledger. Out: device_id, hour_us, run (a number), meter, a_us, b_us, booked_nj, glitch.
--
-- Rows of jobs that share a board lie above one another; those of two meters never do.
WITH
booked AS (
    SELECT
        device_id, start_us, end_us, meter, energy_nj,
        hour_of(start_us) AS hour_us,
        contains(reasons, 'counter_glitch') AS glitch
    FROM ledger
    WHERE meter <> 'none'
),
marked AS (
    SELECT
        *,
        (
            meter IS DISTINCT FROM lag(meter) OVER hour
            OR coalesce(start_us > max(end_us) OVER (
                PARTITION BY device_id, hour_us ORDER BY start_us
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ), true)
        )::INT AS begins
    FROM booked
    WINDOW hour AS (PARTITION BY device_id, hour_us ORDER BY start_us)
),
numbered AS (
    SELECT
        *, sum(begins) OVER (PARTITION BY device_id, hour_us ORDER BY start_us) AS run
    FROM marked
)
SELECT
    device_id, hour_us, run, meter,
    min(start_us) AS a_us,
    max(end_us) AS b_us,
    sum(energy_nj) AS booked_nj,
    coalesce(bool_or(glitch), false) AS glitch
FROM numbered
GROUP BY ALL
