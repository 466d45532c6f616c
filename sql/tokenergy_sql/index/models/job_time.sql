-- How much device time each job claimed in an hour, and of how much of it what is known.
-- In: claim_span, time_state. Out: one row a job: job_id, device_us, unseen_us, unseen_high_nj,
-- token_us, joint_us, joint_unseen_us, joint_unseen_high_nj (the same of the time in which tokens
-- and energy are known), whole (whether that is all of the job's time).
--
-- Claims are exact (us x ppm) until they are added; then they are rounded to the nearest us, so that
-- the smallest shares add up too. Unseen time may have drawn anything from 0 to the limit.
WITH
stated AS (
    SELECT
        c.job_id,
        c.booked,
        c.limit_mw,
        t.tokens_known,
        t.tokens_known AND t.energy_known AS joint,
        c.claim * (least(c.to_us, t.to_us) - greatest(c.from_us, t.from_us))
        // (c.to_us - c.from_us) AS part
    FROM claim_span AS c
    JOIN time_state AS t
        ON t.job_id = c.job_id AND t.from_us < c.to_us AND t.to_us > c.from_us
),
added AS (
    SELECT
        job_id,
        sum(part) AS claim,
        sum(part) FILTER (WHERE NOT booked) AS unseen,
        sum(part * limit_mw) FILTER (WHERE NOT booked) AS unseen_high,
        sum(part) FILTER (WHERE tokens_known) AS token,
        sum(part) FILTER (WHERE joint) AS joint,
        sum(part) FILTER (WHERE joint AND NOT booked) AS joint_unseen,
        sum(part * limit_mw) FILTER (WHERE joint AND NOT booked) AS joint_unseen_high,
        bool_and(joint) AS whole
    FROM stated
    GROUP BY job_id
)
SELECT
    job_id,
    ((coalesce(claim, 0) + whole_ppm() // 2) // whole_ppm())::BIGINT AS device_us,
    ((coalesce(unseen, 0) + whole_ppm() // 2) // whole_ppm())::BIGINT AS unseen_us,
    ((coalesce(unseen_high, 0) + whole_ppm() - 1) // whole_ppm())::HUGEINT AS unseen_high_nj,
    ((coalesce(token, 0) + whole_ppm() // 2) // whole_ppm())::BIGINT AS token_us,
    ((coalesce(joint, 0) + whole_ppm() // 2) // whole_ppm())::BIGINT AS joint_us,
    ((coalesce(joint_unseen, 0) + whole_ppm() // 2) // whole_ppm())::BIGINT AS joint_unseen_us,
    ((coalesce(joint_unseen_high, 0) + whole_ppm() - 1) // whole_ppm())::HUGEINT AS joint_unseen_high_nj,
    whole
FROM added
