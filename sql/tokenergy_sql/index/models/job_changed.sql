-- The jobs whose rows depend on something that is new, or whose file is damaged: see `jobrows.py`.
-- In: job_now (`job_digest.sql`), job_before (what the last run remembered), damaged_hour (file_us,
-- the hours whose files of job_index are not as they were written). Out: job_id.
SELECT job_id
FROM job_now AS n
FULL JOIN job_before AS b USING (job_id)
WHERE n.digest IS DISTINCT FROM b.digest OR b.file_us IN (FROM damaged_hour)
