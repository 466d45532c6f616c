-- The energy of each job in each part of an hour: rows of the ledger, cut by time.
-- In: ledger, signal_part (part, from_us, until_us: disjoint parts of the hour). Out: one row a job
-- and part: energy, bounds and device time.
--
-- A row that lies in several parts is shared by time: x * b // t - x * a // t, with a and b the
-- times from its start to the edges of the part and t its length. So the parts of a row add up to
-- it, to the nanojoule.
WITH
piece AS (
    SELECT
        l.job_id,
        p.part,
        greatest(l.start_us, p.from_us) - l.start_us AS a,
        least(l.end_us, p.until_us) - l.start_us AS b,
        l.end_us - l.start_us AS t,
        coalesce(l.energy_nj, 0)::HUGEINT AS energy_nj,
        l.low_nj::HUGEINT AS low_nj,
        l.high_nj::HUGEINT AS high_nj,
        l.device_us::HUGEINT AS device_us
    FROM ledger AS l
    JOIN signal_part AS p ON l.start_us < p.until_us AND l.end_us > p.from_us
    WHERE l.job_id IS NOT NULL
)
SELECT
    job_id,
    part,
    sum(energy_nj * b // t - energy_nj * a // t)::DECIMAL(38, 0) AS energy_nj,
    sum(low_nj * b // t - low_nj * a // t)::DECIMAL(38, 0) AS low_nj,
    sum(high_nj * b // t - high_nj * a // t)::DECIMAL(38, 0) AS high_nj,
    sum(device_us * b // t - device_us * a // t)::DECIMAL(38, 0) AS device_us
FROM piece
GROUP BY job_id, part
ORDER BY job_id, part
