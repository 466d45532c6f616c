-- Jobs during which a host's clock was set, or the host slept: stamps may be off by that much.
-- In: clock_doubt, claim_span, tokens, parameters. Out: one row a job: job_id.
--
-- A job counts if it claimed a device of the host, or a counter of it was read there, while the
-- stamps were in doubt. Of the clocks only the notes of the hour and of the two beside it are read:
-- what moved while the collector was down for longer is seen by the check `clocks_agree` alone.
WITH
here AS (
    SELECT
        d.node,
        greatest(d.from_us, p.hour_us) AS from_us,
        least(d.to_us, p.hour_us + us_per_hour()) AS to_us
    FROM clock_doubt AS d
    CROSS JOIN parameters AS p
    WHERE d.from_us < p.hour_us + us_per_hour() AND d.to_us >= p.hour_us
)
SELECT c.job_id
FROM claim_span AS c
JOIN here AS h ON h.node = c.node AND c.from_us <= h.to_us AND c.to_us > h.from_us
UNION
SELECT job_key(t.cluster, t.job_id) AS job_id
FROM tokens AS t
JOIN here AS h ON h.node = t.node AND t.ts_us BETWEEN h.from_us AND h.to_us
