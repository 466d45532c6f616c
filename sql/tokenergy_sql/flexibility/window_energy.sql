-- What all boards used in some windows of time.
-- In: ledger, load_window (a row a window: place, from_us, until_us). Out: one row a window with
-- boards in the ledger: place, nj, low_nj, high_nj, device_us, covered_us.
--
-- A row of the ledger that crosses an edge is divided by time, by the telescoping rule.
WITH
hour AS (
    SELECT DISTINCT unnest(range(hour_of(from_us), until_us, us_per_hour())) AS hour_us
    FROM load_window
),
-- The same span on many devices is one cell.
cell AS (
    SELECT
        start_us,
        end_us,
        coalesce(sum(energy_nj), 0::HUGEINT) AS nj,
        sum(low_nj) AS low_nj,
        sum(high_nj) AS high_nj,
        sum(device_us) AS device_us,
        sum(covered_us) AS covered_us
    FROM ledger
    WHERE end_us > start_us AND hour_of(start_us) IN (SELECT hour_us FROM hour)
    GROUP BY start_us, end_us
),
cut AS (
    SELECT
        w.place,
        c.*,
        greatest(w.from_us - c.start_us, 0) AS lower_us,
        least(w.until_us, c.end_us) - c.start_us AS upper_us,
        c.end_us - c.start_us AS whole_us
    FROM load_window AS w
    JOIN cell AS c ON c.start_us < w.until_us AND c.end_us > w.from_us
)
SELECT
    place,
    sum(part_of(nj, lower_us, upper_us, whole_us)) AS nj,
    sum(part_of(low_nj, lower_us, upper_us, whole_us)) AS low_nj,
    sum(part_of(high_nj, lower_us, upper_us, whole_us)) AS high_nj,
    sum(part_of(device_us, lower_us, upper_us, whole_us)) AS device_us,
    sum(part_of(covered_us, lower_us, upper_us, whole_us)) AS covered_us
FROM cut
GROUP BY place
