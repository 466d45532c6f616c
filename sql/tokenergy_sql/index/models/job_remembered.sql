-- What is remembered of each job until the next run: see `jobrows.py`.
-- In: job_now (`job_digest.sql`), job_before (what the last run remembered), reached (job_id,
-- from_us, to_us: the hours of this run that a job has rows in). Out: one row a job: job_id,
-- digest, file_us, first_us and last_us (NULL: no hour has rows of it).
SELECT
    n.job_id,
    n.digest,
    n.file_us,
    least(b.first_us, r.from_us) AS first_us,
    greatest(b.last_us, r.to_us) AS last_us
FROM job_now AS n
LEFT JOIN job_before AS b USING (job_id)
LEFT JOIN reached AS r USING (job_id)
ORDER BY n.job_id
