-- Cost of energy by a dimension and a period: money with bounds, per token, the share known.
-- In: signal_by; dimension, period, since, until, as in signal_by. Out: one row a value, period,
-- workload and currency: currencies are never added.
--
--   kwh             facility energy
--   money           cost of the known part of it, in the currency; negative where prices were
--   money_low       lower bound of money, from the bounds of the energy
--   money_high      upper bound of money
--   money_gpu       cost at the GPU boundary
--   money_per_1m    money per million tokens, facility
--   money_per_1m_low   lower bound of money_per_1m
--   money_per_1m_high  upper bound of money_per_1m
CREATE MACRO cost_by(dimension, period, since := NULL, until := NULL) AS TABLE
    SELECT
        value, name, from_us, to_us, workload, currency, signal, jobs,
        energy_nj / 3.6e15 AS kwh,
        known_share,
        amount / 1e9 AS money,
        low / 1e9 AS money_low,
        high / 1e9 AS money_high,
        gpu_amount / 1e9 AS money_gpu,
        per_token / 1e3 AS money_per_1m,
        per_token_low / 1e3 AS money_per_1m_low,
        per_token_high / 1e3 AS money_per_1m_high,
        n,
        doubts, emulated
    FROM signal_by('price', dimension, period, since := since, until := until)
    ORDER BY name, workload, amount DESC NULLS LAST, value
