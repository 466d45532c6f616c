-- Where each job's energy went, added over its hours.
-- In: job_efficiency. Out: the sums of job_efficiency, one row a job, without the hour.
--
-- Full rate means the job's full rate: hours whose own peak is below 90 % of that of the job's best
-- hour ran at a low rate throughout, and what was steady in them goes to low batch. Energy moves
-- between parts whole, so they still add up.
WITH
rated AS (
    SELECT
        *,
        coalesce(peak_tokens_s >= 0.9 * max(peak_tokens_s) OVER (PARTITION BY job_id), false)
            AS full_rate,
        -- Why an hour that has next to nothing of the job has no steady state is no reason at all.
        device_us * 100 < sum(device_us) OVER (PARTITION BY job_id) AS slight,
        device_us * whole_ppm() < sum(device_us) OVER (PARTITION BY job_id) AS negligible
    FROM job_efficiency
)
SELECT
    job_id,
    min(hour_us) AS hour_us,
    sum(device_us)::BIGINT AS device_us,
    sum(idle_us)::BIGINT AS idle_us,
    sum(gap_us)::BIGINT AS gap_us,
    sum(gap_high_nj) AS gap_high_nj,
    sum(e_gpu_nj) AS e_gpu_nj,
    sum(e_steady_nj) FILTER (WHERE full_rate) AS e_steady_nj,
    sum(e_steady_low_nj) FILTER (WHERE full_rate) AS e_steady_low_nj,
    sum(e_steady_high_nj) FILTER (WHERE full_rate) AS e_steady_high_nj,
    sum(e_low_batch_nj + CASE WHEN full_rate THEN 0 ELSE e_steady_nj END) AS e_low_batch_nj,
    sum(e_prefill_nj) AS e_prefill_nj,
    sum(e_prefill_high_nj) AS e_prefill_high_nj,
    sum(e_no_tokens_nj) AS e_no_tokens_nj,
    sum(e_idle_nj) AS e_idle_nj,
    sum(e_unknown_nj) AS e_unknown_nj,
    max(interval_us) AS interval_us,
    sum(intervals)::BIGINT AS intervals,
    max(peak_tokens_s) AS peak_tokens_s,
    sum(steady_us) FILTER (WHERE full_rate)::BIGINT AS steady_us,
    sum(n_steady) FILTER (WHERE full_rate)::BIGINT AS n_steady,
    sum(n_low_batch + CASE WHEN full_rate THEN 0 ELSE n_steady END)::BIGINT AS n_low_batch,
    -- Energy above a cap is unknown for the job where it is unknown in one of its hours, but for
    -- less than a millionth of its time.
    CASE
        WHEN
            bool_and(COLUMNS('over_.*') IS NOT NULL OR e_gpu_nj IS NULL OR negligible)
            THEN sum(COLUMNS('over_.*'))
    END,
    list_filter(
        list_sort(list_distinct(flatten(list(list_filter(
            string_split(reason_codes, ','),
            lambda code: NOT slight
            OR code NOT IN ('no_tokens', 'zero_tokens', 'tokens_sparse', 'few_intervals')
        ))))),
        -- Why one hour has no steady state is no reason where another has one.
        lambda code: code NOT IN (
            '', 'no_energy') AND (
            max(n_steady) IS NULL
            OR code NOT IN ('no_tokens', 'zero_tokens', 'tokens_sparse', 'few_intervals')
        )
    ) AS reasons,
    bool_or(emulated) AS emulated,
    sha256(string_agg(inputs_digest, '' ORDER BY hour_us)) AS inputs_digest,
    max(as_of_us) AS as_of_us
FROM rated
GROUP BY job_id
