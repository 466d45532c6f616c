-- What the boards of some jobs used in some windows of time.
-- In: ledger, load_window (a row a window: place, from_us, until_us); $jobs. Out: one row a job and
-- window: job_id, place, nj, device_us, covered_us.
WITH
cut AS (
    SELECT
        w.place,
        l.job_id,
        coalesce(l.energy_nj, 0) AS nj,
        l.device_us,
        l.covered_us,
        greatest(w.from_us - l.start_us, 0) AS lower_us,
        least(w.until_us, l.end_us) - l.start_us AS upper_us,
        l.end_us - l.start_us AS whole_us
    FROM load_window AS w
    JOIN ledger AS l ON l.start_us < w.until_us AND l.end_us > w.from_us
    WHERE l.end_us > l.start_us AND l.job_id IN (SELECT unnest($jobs))
)
SELECT
    job_id,
    place,
    sum(part_of(nj, lower_us, upper_us, whole_us)) AS nj,
    sum(part_of(device_us, lower_us, upper_us, whole_us)) AS device_us,
    sum(part_of(covered_us, lower_us, upper_us, whole_us)) AS covered_us
FROM cut
GROUP BY job_id, place
