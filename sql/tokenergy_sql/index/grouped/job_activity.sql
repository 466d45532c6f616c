-- When the token counters of the jobs of a group were read in an hour, and when they moved.
-- In: job_activity, allocation, group_device, parameters. Out: the columns of job_activity.
SELECT
    job_id,
    greatest(from_us, hour_us) AS from_us,
    least(to_us, hour_us + us_per_hour()) AS to_us,
    moved
FROM job_activity
SEMI JOIN (SELECT job_id FROM allocation SEMI JOIN group_device USING (device_id)) USING (job_id)
CROSS JOIN parameters
WHERE from_us < hour_us + us_per_hour() AND to_us > hour_us
