-- Carbon by a dimension and a period: g CO2e with bounds, per token, SCI, the share that is known.
-- In: signal_by; dimension, period, since, until, as in signal_by; quantity, carbon_average or
-- carbon_marginal (NULL: the only one there is). Out: one row a value, period and workload.
--
-- An average says what the grid emits for each kWh, a marginal value what one kWh more would add.
-- Their sum answers no question: where the hours have both, name the quantity, else this is an
-- error.
--
--   kwh              facility energy
--   g                g CO2e of the known part of it
--   g_low            lower bound of g, from the bounds of the energy
--   g_high           upper bound of g
--   g_gpu            g CO2e at the GPU boundary
--   embodied_g       embodied emissions of the GPU time; NULL: not declared
--   g_per_1k         g CO2e per 1,000 tokens, facility
--   g_per_1k_low     lower bound of g_per_1k
--   g_per_1k_high    upper bound of g_per_1k
--   sci_g_per_token  (E * I + M) / R of ISO/IEC 21031 with R = one token; NULL: no embodied
--                    emissions are declared
CREATE MACRO carbon_by(
    dimension, period, since := NULL, until := NULL, quantity := NULL
) AS TABLE
    WITH
    asked AS (SELECT quantity::VARCHAR AS wanted),
    found AS (
        SELECT b.*
        FROM signal_by('carbon', dimension, period, since := since, until := until) AS b
        JOIN asked AS a ON a.wanted IS NULL OR a.wanted = b.quantity
    ),
    several AS (SELECT count(DISTINCT f.quantity) > 1 AS mixed FROM found AS f)
    SELECT
        CASE
            WHEN s.mixed
                THEN error(
                    'average and marginal carbon are never added: they answer different questions; '
                    || 'name one with quantity, carbon_average or carbon_marginal'
                )
            ELSE f.value
        END AS value,
        f.name, f.from_us, f.to_us, f.workload,
        CASE
            WHEN s.mixed THEN error('average and marginal carbon are never added')
            ELSE f.quantity
        END AS quantity,
        f.signal, f.jobs,
        f.energy_nj / 3.6e15 AS kwh,
        f.known_share,
        CASE
            WHEN s.mixed THEN error('average and marginal carbon are never added')::DOUBLE
            ELSE f.amount / 1e6
        END AS g,
        f.low / 1e6 AS g_low,
        f.high / 1e6 AS g_high,
        f.gpu_amount / 1e6 AS g_gpu,
        f.embodied_ug / 1e6 AS embodied_g,
        f.per_token / 1e3 AS g_per_1k,
        f.per_token_low / 1e3 AS g_per_1k_low,
        f.per_token_high / 1e3 AS g_per_1k_high,
        (f.per_token + f.embodied_token) / 1e6 AS sci_g_per_token,
        f.n,
        f.doubts, f.emulated
    FROM found AS f
    CROSS JOIN several AS s
    UNION ALL BY NAME
    SELECT good::VARCHAR AS value, good::VARCHAR AS name, good::VARCHAR AS workload
    FROM (
        SELECT
            good_argument(
                a.wanted IS NULL OR a.wanted IN ('carbon_average', 'carbon_marginal'),
                'quantity ' || a.wanted || ': expected carbon_average or carbon_marginal'
            ) AS good
        FROM asked AS a
    ) AS argument
    WHERE NOT good
    ORDER BY name, workload, g DESC NULLS LAST, value
