-- Shares of energy and the steady state: ratios of exact sums. The same SQL serves hours and jobs.
-- In: efficiency_sums (job_efficiency_hour or job_efficiency_job), parameters. Out: job_efficiency.
SELECT
    * EXCLUDE (reasons),
    -- What low rates cost above the same tokens at the steady rate; below 0 where they cost less.
    -- Stored sums are DECIMAL, which DuckDB divides as DOUBLE.
    e_low_batch_nj::HUGEINT - n_low_batch * e_steady_nj::HUGEINT // n_steady
        AS e_low_batch_excess_nj,
    joules(e_steady_nj) / n_steady AS te_steady,
    joules(e_steady_low_nj) / n_steady AS te_steady_low,
    joules(e_steady_high_nj) / n_steady AS te_steady_high,
    mean_watts(e_steady_nj, steady_us) AS steady_w,
    n_steady / seconds(steady_us) AS steady_tokens_s,
    array_to_string(list_filter(list_concat(
        [CASE WHEN e_gpu_nj IS NULL THEN 'no_energy' END], reasons
    ), lambda code: code IS NOT NULL), ',') AS reason_codes,
    (SELECT index_version FROM parameters) AS index_version
FROM efficiency_sums
