-- What signals say of a job is of its own energy of the hour, all of it and no more.
-- fail, hourly
-- In: job_signal_hour, job_hour_index. Out: jobs, hours and purposes of which it is not.
--
-- Where signals serve a purpose for the whole hour, their energies add up to the job's, to the
-- nanojoule, at each boundary; where they serve for less, to no more. The part with a value is
-- at most the whole, and an amount lies within its bounds.
WITH
summed AS (
    SELECT
        job_id, hour_us, purpose,
        sum(served_us) AS served_us,
        sum(gpu_nj)::HUGEINT AS gpu_nj,
        sum(facility_nj)::HUGEINT AS facility_nj,
        bool_or(
            known_us > served_us
            OR gpu_known_nj > gpu_nj OR it_known_nj > it_nj OR facility_known_nj > facility_nj
            OR gpu_low > gpu_amount OR gpu_amount > gpu_high
            OR it_low > it_amount OR it_amount > it_high
            OR facility_low > facility_amount OR facility_amount > facility_high
        ) AS beyond
    FROM job_signal_hour
    GROUP BY job_id, hour_us, purpose
)
SELECT
    strftime(make_timestamp(s.hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    s.job_id,
    s.purpose,
    s.gpu_nj AS has_gpu_nj,
    j.e_gpu_nj AS gpu_nj,
    s.facility_nj AS has_facility_nj,
    j.e_facility_nj AS facility_nj
FROM summed AS s
LEFT JOIN job_hour_index AS j ON j.job_id = s.job_id AND j.hour_us = s.hour_us
WHERE
    j.job_id IS NULL
    OR s.beyond
    OR s.served_us > us_per_hour()
    OR s.gpu_nj > j.e_gpu_nj
    OR s.facility_nj > j.e_facility_nj
    OR (
        s.served_us = us_per_hour()
        AND (
            s.gpu_nj IS DISTINCT FROM j.e_gpu_nj::HUGEINT
            OR s.facility_nj IS DISTINCT FROM j.e_facility_nj::HUGEINT
        )
    )
ORDER BY ALL
