-- Who holds the devices of a group in an hour, and a second around it.
-- In: allocation, group_device, parameters. Out: the columns that `claim.sql` reads, and the node.
SELECT DISTINCT
    device_id, node, job_id, mig_id, share_ppm, share_estimated, start_us,
    CASE WHEN end_us <= hour_us + us_per_hour() + us_per_second() THEN end_us END AS end_us
FROM allocation
SEMI JOIN group_device USING (device_id)
CROSS JOIN parameters
WHERE
    start_us <= hour_us + us_per_hour() + us_per_second()
    AND (end_us IS NULL OR end_us >= hour_us - us_per_second())
