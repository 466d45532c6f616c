-- From when to when each job held devices: the edges between which its tokens count.
-- In: allocation. Out: job_id, job_start_us, job_end_us (NULL = running).
--
-- A stamp outside the years 2000 to 2100 is not an instant but a mark ("no start", "no end"): it is
-- NULL here, or usage would have rows for all the hours up to it.
SELECT
    job_id,
    CASE WHEN min(start_us) >= 946684800000000 THEN min(start_us) END AS job_start_us,
    CASE
        WHEN bool_or(end_us IS NULL) OR max(end_us) >= 4102444800000000 THEN NULL
        ELSE max(end_us)
    END AS job_end_us
FROM allocation
GROUP BY job_id
