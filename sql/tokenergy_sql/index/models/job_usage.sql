-- Each job's tokens of all hours, added up: what `job_facts.sql` needs of them.
-- In: token_usage (all hours). Out: one row a job: model, first_hour_us, trained, inferred.
--
-- Computed once a run: the models of an hour then need only that hour's rows of token_usage.
SELECT
    job_id,
    string_agg(DISTINCT model, '+' ORDER BY model) AS model,
    min(hour_us) AS first_hour_us,
    sum(tokens) FILTER (WHERE kind = 'trained')::BIGINT AS trained,
    sum(tokens) FILTER (WHERE kind <> 'trained')::BIGINT AS inferred
FROM token_usage
GROUP BY job_id
