-- What the pages said of jobs' token counters in an hour, and right before and after it.
-- In: token_page, token_name, parameters. Out: job_id, counter (a number for each series of one
-- source), run, ts_us, value, since_us.
--
-- Of the hours beside it, the readings next to it are enough, one for each start that a page named.
WITH named AS (
    SELECT n.job_id, p.counter, p.run, p.ts_us, p.value, p.since_us
    FROM token_page AS p
    JOIN token_name AS n USING (counter)
)
SELECT job_id, counter, run, ts_us, value, since_us
FROM named, parameters
WHERE ts_us >= hour_us AND ts_us < hour_us + us_per_hour()
UNION ALL BY NAME
SELECT
    job_id, counter, since_us,
    unnest(max(struct_pack(run := run, ts_us := ts_us, value := value)), recursive := true)
FROM named, parameters
WHERE ts_us < hour_us
GROUP BY job_id, counter, since_us
UNION ALL BY NAME
SELECT
    job_id, counter, since_us,
    unnest(min(struct_pack(run := run, ts_us := ts_us, value := value)), recursive := true)
FROM named, parameters
WHERE ts_us >= hour_us + us_per_hour()
GROUP BY job_id, counter, since_us
