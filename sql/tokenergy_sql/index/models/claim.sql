-- Who holds a device, and which share of it, as parts of a whole.
-- In: span (device_id, span, start_us, end_us: a time in which the holders do not change),
-- allocation. Out: one row a span and job, and one without a job for the unclaimed rest: the part
-- between lower_ppm and upper_ppm of whole_ppm. A span without a holder has no row.
WITH
-- A job that was recorded twice on one device holds it once; MIG instances of a board add up, and
-- an instance of a board that the job holds whole is a part of it.
held AS (
    SELECT
        s.span,
        a.job_id,
        a.mig_id,
        max(a.share_ppm) AS share_ppm,
        bool_or(a.share_estimated) AS estimated
    FROM span AS s
    JOIN allocation AS a
        ON a.device_id = s.device_id
        AND a.start_us <= s.start_us
        AND (a.end_us IS NULL OR a.end_us >= s.end_us)
    GROUP BY ALL
),
holder AS (
    SELECT
        span,
        job_id,
        least(whole_ppm(), sum(share_ppm))::BIGINT AS share_ppm,
        bool_or(estimated) AS estimated
    FROM held
    GROUP BY ALL
),
holders AS (
    SELECT
        span,
        sum(share_ppm)::BIGINT AS declared_ppm,
        greatest(whole_ppm(), sum(share_ppm))::BIGINT AS whole_ppm,
        count(*) AS jobs,
        bool_or(estimated) AS estimated
    FROM holder
    GROUP BY ALL
),
claim AS (
    SELECT span, job_id, share_ppm FROM holder
    UNION ALL
    SELECT span, NULL, whole_ppm() - declared_ppm FROM holders WHERE declared_ppm < whole_ppm()
)
SELECT
    span,
    c.job_id,
    sum(c.share_ppm) OVER running::BIGINT AS upper_ppm,
    upper_ppm - c.share_ppm AS lower_ppm,
    h.whole_ppm,
    h.jobs > 1 OR h.declared_ppm < whole_ppm() OR h.estimated AS shared
FROM claim AS c
JOIN holders AS h USING (span)
WINDOW running AS (PARTITION BY span ORDER BY c.job_id NULLS LAST)
