-- Carbon of each job: g CO2e with bounds, per 1,000 tokens, SCI, and the share that is known.
-- In: signal_by. Out: one row a job and quantity: average and marginal are never added.
--
--   job_id           job
--   kwh              facility energy
--   g                g CO2e of the known part of it
--   g_low            lower bound of g
--   g_high           upper bound of g
--   g_gpu            g CO2e at the GPU boundary
--   embodied_g       embodied emissions of the GPU time; NULL: not declared
--   g_per_1k         g CO2e per 1,000 tokens, facility
--   sci_g_per_token  (E * I + M) / R with R = one token; NULL: no embodied emissions are declared
CREATE VIEW job_carbon AS
SELECT
    value AS job_id,
    workload, quantity, signal,
    energy_nj / 3.6e15 AS kwh,
    known_share,
    amount / 1e6 AS g,
    low / 1e6 AS g_low,
    high / 1e6 AS g_high,
    gpu_amount / 1e6 AS g_gpu,
    embodied_ug / 1e6 AS embodied_g,
    per_token / 1e3 AS g_per_1k,
    (per_token + embodied_token) / 1e6 AS sci_g_per_token,
    doubts, emulated
FROM signal_by('carbon', 'job', 'all')
