-- Cost of each job's energy: money with bounds, per million tokens, and the share that is known.
-- In: signal_by. Out: one row a job and currency.
--
--   job_id        job
--   kwh           facility energy
--   money         cost of the known part of it, in the currency
--   money_low     lower bound of money
--   money_high    upper bound of money
--   money_gpu     cost at the GPU boundary
--   money_per_1m  money per million tokens, facility
CREATE VIEW job_cost AS
SELECT
    value AS job_id,
    workload, currency, signal,
    energy_nj / 3.6e15 AS kwh,
    known_share,
    amount / 1e9 AS money,
    low / 1e9 AS money_low,
    high / 1e9 AS money_high,
    gpu_amount / 1e9 AS money_gpu,
    per_token / 1e3 AS money_per_1m,
    doubts, emulated
FROM signal_by('price', 'job', 'all')
