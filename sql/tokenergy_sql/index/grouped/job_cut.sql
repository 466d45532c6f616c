-- Where the time of the jobs of a group is divided in an hour.
-- In: job_cut, allocation, group_device. Out: the columns of job_cut.
SELECT job_cut.*
FROM job_cut
SEMI JOIN (SELECT job_id FROM allocation SEMI JOIN group_device USING (device_id)) USING (job_id)
