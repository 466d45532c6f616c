-- How steep and how steady each job's load was. In: load_profile. Out: one row a job that has one:
-- the largest of its hours, and the dominant swing of the hour in which that is largest.
SELECT
    group_id AS job_id,
    max(max_mw) AS max_mw,
    max(swing_mw) AS swing_mw,
    max(up_1s_mw) AS up_1s_mw,
    max(down_1s_mw) AS down_1s_mw,
    arg_max(dominant_period_s, dominant_amplitude_mw) AS dominant_period_s,
    2 * max(dominant_amplitude_mw) AS dominant_mw,
    joules(max(battery_nj)::DOUBLE) AS battery_j,
    count(*) AS hours
FROM load_profile
WHERE kind = 'job'
GROUP BY group_id
ORDER BY group_id
