-- The edges of the jobs on the devices of a group in an hour, and a second around it.
-- In: job_edge, group_device, parameters. Out: the columns of job_edge.
SELECT job_edge.*
FROM job_edge
SEMI JOIN group_device USING (device_id)
CROSS JOIN parameters
WHERE
    cut_us >= hour_us - us_per_second()
    AND cut_us <= hour_us + us_per_hour() + us_per_second()
