-- Microseconds in a second.
-- In: nothing. Out: BIGINT.
CREATE MACRO us_per_second() AS 1000000::BIGINT

-- Microseconds in an hour.
-- In: nothing. Out: BIGINT.
CREATE MACRO us_per_hour() AS 3600000000::BIGINT

-- Microseconds in a day.
-- In: nothing. Out: BIGINT.
CREATE MACRO us_per_day() AS 86400000000::BIGINT

-- Start of the hour that contains an instant.
-- In: us, microseconds since 1970. Out: BIGINT, microseconds since 1970.
CREATE MACRO hour_of(us) AS us - us % us_per_hour()

-- A length of time in seconds.
-- In: us, microseconds. Out: DOUBLE.
CREATE MACRO seconds(us) AS us / 1e6

-- A length of time in hours.
-- In: us, microseconds. Out: DOUBLE.
CREATE MACRO hours(us) AS us / 3.6e9

-- The rate of something per second.
-- In: amount, how much of it; us, in how many microseconds. Out: DOUBLE.
CREATE MACRO per_second(amount, us) AS amount * 1000000.0 / us

-- The whole of something, in parts per million.
-- In: nothing. Out: BIGINT.
CREATE MACRO whole_ppm() AS 1000000::BIGINT

-- A number of parts per million of an amount, rounded towards zero.
-- In: amount, an integer; ppm, how many parts per million of it. Out: an integer.
CREATE MACRO scale_ppm(amount, ppm) AS amount * ppm // whole_ppm()

-- The whole of something, in parts per billion.
-- In: nothing. Out: BIGINT.
CREATE MACRO whole_ppb() AS 1000000000::BIGINT

-- A number of parts per billion of an amount, rounded down.
-- In: amount, an integer of at least 0; ppb, how many parts per billion of it. Out: an integer.
CREATE MACRO scale_ppb(amount, ppb) AS amount::HUGEINT * ppb // whole_ppb()

-- Energy in nanojoules.
-- In: mj, millijoules. Out: an integer.
CREATE MACRO nanojoules(mj) AS mj * 1000000

-- Energy in millijoules, rounded down, of energy times parts per billion.
-- In: nj_ppb, nanojoules times parts per billion. Out: HUGEINT. So small a number can be multiplied
-- by the energy of a site of a gigawatt and still fit.
CREATE MACRO scaled_mj(nj_ppb) AS nj_ppb::HUGEINT // (whole_ppb()::HUGEINT * nanojoules(1))

-- Energy in joules.
-- In: nj, nanojoules. Out: DOUBLE.
CREATE MACRO joules(nj) AS nj / 1e9

-- Energy in kilowatt-hours.
-- In: nj, nanojoules. Out: DOUBLE.
CREATE MACRO kwh(nj) AS nj / 3.6e15

-- Joules in a kilowatt-hour.
-- In: nothing. Out: DOUBLE.
CREATE MACRO j_per_kwh() AS 3.6e6

-- Power in watts.
-- In: mw, milliwatts. Out: DOUBLE.
CREATE MACRO watts(mw) AS mw / 1e3

-- Mean power in watts.
-- In: nj, energy in nanojoules; us, the time in which it was drawn, microseconds. Out: DOUBLE.
CREATE MACRO mean_watts(nj, us) AS nj / 1e3 / us

-- The key of a job: CLUSTER/ID where a cluster is named, else ID.
-- In: cluster, its name or NULL; id, the job's id there. Out: VARCHAR, the job_id of derived
-- tables.
CREATE MACRO job_key(cluster, id) AS coalesce(nullif(cluster, '') || '/', '') || id

-- Whether a counter grew faster than anything counts: 100 million tokens a second.
-- In: step, its growth; us, in how many microseconds (at least a second counts). Out: BOOLEAN.
CREATE MACRO token_leap(step, us) AS step > 100 * greatest(us, 1000000)

-- The labels of a series without those of ranks that all count the same tokens. They are those of
-- `REPLICA_LABELS` in the collectors. A comma may stay behind: the result is a key, not JSON.
-- In: metric, its name or NULL; series, its labels or NULL. Out: VARCHAR.
CREATE MACRO token_parallel(metric, series) AS CASE
    WHEN
        regexp_matches(metric, '^sglang[:_]')
        THEN
            regexp_replace(
                series,
                '"(tp_rank|pp_rank|moe_ep_rank|moe_dp_rank|ep_rank|attn_cp_rank)":"[^"]*",?',
                '',
                'g'
            )
    ELSE coalesce(series, '')
END

--- Whether a metric is that of a frontend or client, which counts what the workers behind it count.
--- They are `FRONTENDS` in the collectors.
--- In: metric, its name or NULL. Out: BOOLEAN.
CREATE MACRO token_frontend(metric) AS coalesce(
    starts_with(metric, 'dynamo_frontend') OR starts_with(metric, 'gen_ai.client.'), false
)

-- The least part of a job's device time in which energy and tokens must both be known for a ratio.
-- In: nothing. Out: DECIMAL. `tokenergy_by` has the same number.
CREATE MACRO least_joint_coverage() AS 0.1

-- Whether a finish reason says that a request was aborted, refused, or failed.
-- In: reason, as the server names it. Out: BOOLEAN.
CREATE MACRO request_failed(reason) AS regexp_matches(
    lower(reason),
    'abort|error|cancel|fail|timeout|timed_out|refus|reject|disconnect|invalid'
    || '|not_exist|no_queue|session_repeat'
)
