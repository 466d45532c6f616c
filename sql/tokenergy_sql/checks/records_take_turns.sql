-- No two files have different readings of one device in the same time.
-- warn, hourly
-- In: power_file, file_span. Out: pairs of files that do for more than a second, and the time.
--
-- One clock gives each instant once, so a recorder's files follow one another. Where two cover a
-- time, each with readings that the other has not, the clock was set back between two logs (then
-- the power of that time is wrong), or two recorders read the board. A late file that fills a hole
-- covers no reading of the other; the same readings in two files are no fault.
WITH
pair AS (
    SELECT
        a.device_id,
        a.file AS one,
        b.file AS other,
        b.first_us AS from_us,
        least(a.last_us, b.last_us) AS to_us
    FROM file_span AS a
    JOIN file_span AS b
        ON b.device_id = a.device_id
        AND (b.first_us, b.file) > (a.first_us, a.file)
        AND b.first_us + us_per_second() < a.last_us
    WHERE to_us - from_us > us_per_second()
),
-- Readings inside of the time that both cover; the first and the last may be of its edges.
read AS (
    SELECT p.device_id, p.one, p.other, f.file, f.ts_us, f.power_mw
    FROM pair AS p
    JOIN power_file AS f
        ON f.device_id = p.device_id
        AND f.file IN (p.one, p.other)
        AND f.ts_us BETWEEN p.from_us AND p.to_us
),
-- A reading that only one of the two has.
alone AS (
    SELECT device_id, one, other, ts_us, power_mw, min(file) AS file
    FROM read
    GROUP BY ALL
    HAVING count(DISTINCT file) = 1
)
SELECT
    device_id,
    one,
    other,
    strftime(make_timestamp(p.from_us), '%Y-%m-%dT%H:%M:%S.%fZ') AS "from",
    strftime(make_timestamp(p.to_us), '%Y-%m-%dT%H:%M:%S.%fZ') AS "to"
FROM pair AS p
JOIN alone AS a USING (device_id, one, other)
GROUP BY device_id, one, other, p.from_us, p.to_us
HAVING
    count(*) FILTER (WHERE a.file = one) > 1
    AND count(*) FILTER (WHERE a.file = other) > 1
ORDER BY ALL
