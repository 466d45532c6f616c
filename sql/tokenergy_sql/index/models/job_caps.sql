-- What each job drew above caps of 50 to 90 % of their boards' power limits in one hour.
-- In: job_cap_part (one row a device and job, see `booking/caps.py`). Out: job_id, limited,
-- over_NN_low_nj, over_NN_high_nj.
SELECT job_id, bool_and(limited) AS limited, sum(COLUMNS('over_.*'))
FROM job_cap_part
GROUP BY job_id
