-- What is known of each signal: at each instant the value that was read last, and no revision.
-- In: signal. Out: one row a signal, quantity and piece of time.
--
-- A row of `signal` is one piece of time, unless one that was read later and has other edges
-- replaces a part of it. Holes have a row if they were recorded as such; time without a row is
-- unknown too.
--
--   from_us   start of the piece
--   until_us  its end, exclusive
--   value     in `unit`; NULL: a hole
--   unit      of value
CREATE VIEW signal_value AS
WITH
latest AS (
    FROM signal
    QUALIFY row_number() OVER (
        PARTITION BY signal, quantity, ts_us, until_us
        ORDER BY read_us DESC, value IS NOT NULL DESC, value DESC
    ) = 1
),
-- By the hour, so that pieces meet the rows of their hour alone.
piece AS (
    SELECT *, unnest(range(ts_us - ts_us % 3600000000, until_us, 3600000000)) AS hour_us
    FROM latest
),
edge AS (
    SELECT signal, quantity, hour_us, greatest(ts_us, hour_us) AS at_us
    FROM piece
    UNION
    SELECT signal, quantity, hour_us, least(until_us, hour_us + 3600000000)
    FROM piece
),
part AS (
    SELECT
        signal, quantity, hour_us, at_us,
        lead(at_us) OVER (PARTITION BY signal, quantity, hour_us ORDER BY at_us) AS next_us
    FROM edge
),
told AS (
    SELECT r.*, p.at_us, p.next_us
    FROM part AS p
    JOIN piece AS r USING (signal, quantity, hour_us)
    WHERE p.next_us IS NOT NULL AND r.ts_us <= p.at_us AND r.until_us >= p.next_us
    QUALIFY row_number() OVER (
        PARTITION BY signal, quantity, p.at_us
        ORDER BY
            r.read_us DESC, r.ts_us DESC, r.until_us, r.value IS NOT NULL DESC, r.value DESC
    ) = 1
),
run AS (
    SELECT
        *,
        count(*) FILTER (WHERE begins) OVER (
            PARTITION BY signal, quantity ORDER BY at_us
        ) AS number
    FROM (
        SELECT
            *,
            coalesce(
                at_us <> lag(next_us) OVER same
                OR ts_us <> lag(ts_us) OVER same
                OR until_us <> lag(until_us) OVER same,
                true
            ) AS begins
        FROM told
        WINDOW same AS (PARTITION BY signal, quantity ORDER BY at_us)
    )
)
SELECT
    signal, quantity,
    any_value(lifecycle) AS lifecycle,
    any_value(zone) AS zone,
    min(at_us) AS from_us,
    max(next_us) AS until_us,
    any_value(value) AS value,
    CASE
        WHEN quantity IN ('carbon_average', 'carbon_marginal') THEN 'mg CO2e/kWh'
        WHEN quantity = 'price' THEN 'millionths of ' || any_value(currency) || '/kWh'
        WHEN quantity IN ('renewable_share', 'cfe_share') THEN 'ppb'
        WHEN quantity = 'clean_power' THEN 'mW'
    END AS unit,
    any_value(currency) AS currency,
    any_value(status) AS status,
    any_value(read_us) AS read_us
FROM run
GROUP BY signal, quantity, number
