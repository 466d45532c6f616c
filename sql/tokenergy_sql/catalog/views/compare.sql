-- Two jobs compared, figure by figure.
-- In: job_index; one and other, the ids of two jobs. Out: one row a figure.
--
-- Tokens of different workloads do not compare: the ratio of such a figure is NULL.
--
--   figure       what is compared, with its unit
--   one          the first job's
--   one_low      lower bound of one
--   one_high     upper bound of one
--   other        the second job's
--   other_low    lower bound of other
--   other_high   upper bound of other
--   ratio        other / one
--   apart        true if the bounds do not overlap: the difference is larger than the error
CREATE MACRO compare(one, other) AS TABLE
    WITH
    job AS (
        SELECT
            job_id,
            workload,
            unnest([
                {
                    'place': 1, 'figure': 'GPU energy, kWh', 'shared': true,
                    'value': e_gpu_nj / 3.6e15, 'low': e_gpu_low_nj / 3.6e15,
                    'high': e_gpu_high_nj / 3.6e15
                },
                {
                    'place': 2, 'figure': 'GPU energy while active, kWh', 'shared': true,
                    'value': e_gpu_active_nj / 3.6e15, 'low': NULL, 'high': NULL
                },
                {
                    'place': 3, 'figure': 'facility energy, kWh', 'shared': true,
                    'value': e_facility_nj / 3.6e15, 'low': e_facility_low_nj / 3.6e15,
                    'high': e_facility_high_nj / 3.6e15
                },
                {
                    'place': 4, 'figure': 'device time, h', 'shared': true,
                    'value': device_us / 3.6e9, 'low': NULL, 'high': NULL
                },
                {
                    'place': 5, 'figure': 'mean power of a device, W', 'shared': true,
                    'value': e_gpu_nj / nullif(device_us, 0) / 1e3,
                    'low': e_gpu_low_nj / nullif(device_us, 0) / 1e3,
                    'high': e_gpu_high_nj / nullif(device_us, 0) / 1e3
                },
                {
                    'place': 6, 'figure': 'tokens', 'shared': false,
                    'value': CASE workload
                        WHEN 'training' THEN n_trained ELSE n_generated
                    END::DOUBLE,
                    'low': n_low::DOUBLE, 'high': n_high::DOUBLE
                },
                {
                    'place': 7, 'figure': 'J/token, GPU', 'shared': false,
                    'value': coalesce(te_gpu_out, te_train), 'low': te_gpu_low, 'high': te_gpu_high
                },
                {
                    'place': 8, 'figure': 'J/token, facility', 'shared': false,
                    'value': tokenergy, 'low': te_low, 'high': te_high
                },
                {
                    'place': 9, 'figure': 'J/token, facility, burdened', 'shared': false,
                    'value': tokenergy_burdened, 'low': NULL, 'high': NULL
                },
                {
                    'place': 10, 'figure': 'coverage', 'shared': true,
                    'value': coverage, 'low': NULL, 'high': NULL
                }
            ], recursive := true)
        FROM job_index
        WHERE job_id IN (one, other)
    )
    SELECT
        a.figure,
        a.value AS one, a.low AS one_low, a.high AS one_high,
        b.value AS other, b.low AS other_low, b.high AS other_high,
        CASE WHEN a.shared OR a.workload = b.workload THEN b.value / nullif(a.value, 0) END
            AS ratio,
        CASE WHEN a.shared OR a.workload = b.workload THEN a.high < b.low OR b.high < a.low END
            AS apart
    FROM job AS a
    JOIN job AS b USING (place)
    WHERE a.job_id = one AND b.job_id = other
    UNION ALL BY NAME
    SELECT good::VARCHAR AS figure
    FROM (
        SELECT
            good_argument(
                j.found, 'compare: job ' || coalesce(a.job_id, 'NULL') || ' is not in job_index'
            ) AS good
        FROM (SELECT unnest([one, other]) AS job_id) AS a
        LEFT JOIN (SELECT DISTINCT job_id, true AS found FROM job_index) AS j USING (job_id)
    ) AS argument
    WHERE NOT good
