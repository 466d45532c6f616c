-- A digest of what a job's row depends on besides its hours, and when the job began.
-- In: job_facts, token_job, claim_beyond. Out: one row a job: job_id, digest, start_us.
WITH
counted AS (
    SELECT
        job_id,
        string_agg(t::VARCHAR, ' ' ORDER BY t::VARCHAR) AS tokens
    FROM token_job AS t
    GROUP BY job_id
)
SELECT
    f.job_id,
    md5(concat_ws('|', f::VARCHAR, coalesce(c.tokens, ''), coalesce(b::VARCHAR, ''))) AS digest,
    f.start_us
FROM job_facts AS f
LEFT JOIN counted AS c USING (job_id)
LEFT JOIN claim_beyond AS b USING (job_id)
