-- Energy times a signal by a dimension and a period: sums, the share that is known, and per token.
-- In: job_signal_hour, job_hour_index, job_index; purpose, one of carbon, price, renewable, cfe;
-- dimension, one of job, model, user, account, workload, all; period, one of hour, day, week,
-- month, year, all; since, until, the first hour and the hour after the last one (TIMESTAMP, ISO
-- 8601 text or microseconds; NULL: all hours). Out: one row a value, period, workload, quantity and
-- currency.
--
-- carbon_by and cost_by are this in g CO2e and in money. Amounts are those of the time whose value
-- is known: nothing is filled in. The facility's are NULL if the facility energy of an hour is not
-- known. Per token is the amount of the time in which energy, tokens and value are known, over the
-- tokens of that time: an hour counts with the share of its energy whose value is known, and its
-- joint energy has the hour's mean value. It is NULL below a tenth of the device time.
--
--   value             of the dimension; NULL if it is unknown
--   name              which period: 2026-01-15T08, 2026-01-15, 2026-W03, 2026-01, 2026 or all
--   jobs              jobs in the row
--   energy_nj         facility energy of these jobs; NULL if that of some hour is not known
--   known_share       part of the energy whose value is known: of the facility's, else the GPUs'
--   amount            at the facility, in the unit of job_signal_hour
--   low               lower bound of amount, from the bounds of the energy
--   high              upper bound of amount
--   n                 tokens, generated or trained, that per token is of
--   per_token         amount per token, facility
--   per_token_low     lower bound of per_token
--   per_token_high    upper bound of per_token
--   gpu_per_token     amount per token, GPU boundary
--   embodied_token    embodied emissions per token, micrograms; NULL: not declared
CREATE MACRO signal_by(purpose, dimension, period, since := NULL, until := NULL) AS TABLE
    WITH
    wanted AS (SELECT purpose AS purpose),
    piece AS (
        SELECT
            s.*,
            j.workload,
            CASE dimension
                WHEN 'job' THEN s.job_id
                WHEN 'model' THEN j.model
                WHEN 'user' THEN j."user"
                WHEN 'account' THEN j.account
                WHEN 'workload' THEN j.workload
                WHEN 'all' THEN 'all'
            END AS value,
            make_timestamp(s.hour_us) AS hour,
            h.device_us, h.joint_us,
            h.n_joint, h.n_joint_low, h.n_joint_high,
            s.gpu_known_nj / nullif(s.gpu_nj, 0) AS gpu_share,
            s.facility_known_nj / nullif(s.facility_nj, 0) AS share,
            h.e_joint_nj / nullif(h.e_gpu_nj, 0) AS gpu_part,
            h.e_joint_facility_nj / nullif(h.e_facility_nj, 0) AS part,
            -- What a signal serves for in a part of an hour has that part of its tokens.
            s.served_us / 3600000000 AS served,
            h.joint_us > 0 AND h.n_joint IS NOT NULL
            AND j.workload IN ('inference', 'training') AS counts
        FROM job_signal_hour AS s
        JOIN wanted AS w ON w.purpose = s.purpose
        JOIN job_hour_index AS h ON h.job_id = s.job_id AND h.hour_us = s.hour_us
        JOIN (SELECT job_id, workload, model, "user", account FROM job_index) AS j
            ON j.job_id = s.job_id
        WHERE
            good_period(period, since, until)
            AND (since IS NULL OR s.hour_us >= stamp_us(since))
            AND (until IS NULL OR s.hour_us < stamp_us(until))
    ),
    dated AS (
        SELECT
            *,
            CASE period
                WHEN 'hour' THEN strftime(hour, '%Y-%m-%dT%H')
                WHEN 'day' THEN strftime(hour, '%Y-%m-%d')
                WHEN 'week' THEN strftime(hour, '%G-W%V')
                WHEN 'month' THEN strftime(hour, '%Y-%m')
                WHEN 'year' THEN strftime(hour, '%Y')
                WHEN 'all' THEN 'all'
            END AS name
        FROM piece
    ),
    summed AS (
        SELECT
            value, name, workload, quantity, currency,
            string_agg(DISTINCT signal, ',' ORDER BY signal) AS signal,
            any_value(unit) AS unit,
            count(DISTINCT job_id) AS jobs,
            min(hour_us) AS from_us,
            max(hour_us) + 3600000000 AS to_us,
            count(*) FILTER (WHERE gpu_nj IS NOT NULL AND facility_nj IS NULL) = 0 AS whole,
            sum(gpu_nj)::DECIMAL(38, 0) AS gpu_nj,
            sum(gpu_known_nj)::DECIMAL(38, 0) AS gpu_known_nj,
            sum(gpu_amount)::DECIMAL(38, 0) AS gpu_amount,
            CASE WHEN whole THEN sum(it_amount) END::DECIMAL(38, 0) AS it_amount,
            CASE WHEN whole THEN sum(facility_nj) END::DECIMAL(38, 0) AS energy_nj,
            CASE WHEN whole THEN sum(facility_known_nj) END::DECIMAL(38, 0) AS known_nj,
            CASE WHEN whole THEN sum(facility_amount) END::DECIMAL(38, 0) AS amount,
            CASE
                WHEN whole AND count(facility_low) = count(facility_amount) THEN sum(facility_low)
            END::DECIMAL(38, 0) AS low,
            CASE
                WHEN whole AND count(facility_high) = count(facility_amount)
                    THEN sum(facility_high)
            END::DECIMAL(38, 0) AS high,
            sum(embodied_ug)::DECIMAL(38, 0) AS embodied_ug,
            sum(joint_us) >= 0.1 * sum(device_us) AS enough,
            sum(n_joint * share * served) FILTER (WHERE counts AND part IS NOT NULL) AS n,
            sum(n_joint_low * share * served) FILTER (WHERE counts AND part IS NOT NULL) AS n_least,
            sum(n_joint_high * share * served) FILTER (WHERE counts AND part IS NOT NULL) AS n_most,
            sum(facility_amount * part) FILTER (WHERE counts) AS joint,
            sum(facility_low * part) FILTER (WHERE counts) AS joint_low,
            sum(facility_high * part) FILTER (WHERE counts) AS joint_high,
            sum(n_joint * gpu_share * served) FILTER (WHERE counts AND gpu_part IS NOT NULL)
                AS n_gpu,
            sum(gpu_amount * gpu_part) FILTER (WHERE counts) AS joint_gpu,
            sum(embodied_ug * joint_us / device_us * share)
            FILTER (WHERE counts AND part IS NOT NULL) AS joint_embodied,
            string_agg(DISTINCT doubts, ',' ORDER BY doubts) AS doubts,
            bool_or(emulated) AS emulated
        FROM dated
        GROUP BY value, name, workload, quantity, currency
    )
    SELECT
        value, name, from_us, to_us, workload, quantity, signal, currency, unit, jobs,
        energy_nj, known_nj,
        coalesce(known_nj / nullif(energy_nj, 0), gpu_known_nj / nullif(gpu_nj, 0)) AS known_share,
        gpu_amount, it_amount, amount, low, high, embodied_ug,
        CASE WHEN whole AND enough THEN n END AS n,
        CASE WHEN whole AND enough AND n > 0 THEN joint / n END AS per_token,
        CASE
            WHEN whole AND enough AND n > 0 AND low IS NOT NULL
                THEN joint_low / CASE WHEN joint_low >= 0 THEN n_most ELSE nullif(n_least, 0) END
        END AS per_token_low,
        CASE
            WHEN whole AND enough AND n > 0 AND high IS NOT NULL
                THEN joint_high / CASE WHEN joint_high >= 0 THEN nullif(n_least, 0) ELSE n_most END
        END AS per_token_high,
        CASE WHEN enough AND n_gpu > 0 THEN joint_gpu / n_gpu END AS gpu_per_token,
        CASE WHEN whole AND enough AND n > 0 THEN joint_embodied / n END AS embodied_token,
        doubts, emulated
    FROM summed
    UNION ALL BY NAME
    SELECT
        good::VARCHAR AS value, good::VARCHAR AS name, good::VARCHAR AS workload,
        good::VARCHAR AS quantity
    FROM (
        SELECT
            good_period(period, since, until)
            AND good_argument(
                purpose IN ('carbon', 'price', 'renewable', 'cfe'),
                'purpose ' || coalesce(purpose::VARCHAR, 'NULL')
                || ': expected carbon, price, renewable or cfe'
            )
            AND good_argument(
                dimension IN ('job', 'model', 'user', 'account', 'workload', 'all'),
                'dimension ' || coalesce(dimension::VARCHAR, 'NULL')
                || ': expected job, model, user, account, workload or all'
            ) AS good
    ) AS argument
    WHERE NOT good
    ORDER BY name, workload, amount DESC NULLS LAST, value
