-- Totals over the jobs. In: job_sum. Out: one row.
SELECT
    count(*) AS jobs,
    coalesce(bool_or(emulated), false) AS emulated,
    count(e_facility_nj) AS with_facility,
    joules(sum(e_facility_nj)::DOUBLE) AS facility_j,
    sum(n_generated)::BIGINT AS n_generated,
    count(n_generated) AS with_generated,
    sum(n_trained)::BIGINT AS n_trained,
    count(n_trained) AS with_trained,
    max(as_of_us) AS as_of_us,
    string_agg(DISTINCT index_version, ', ' ORDER BY index_version) AS index_version,
    sha256(string_agg(inputs_digest, '' ORDER BY job_id)) AS inputs_digest
FROM job_sum
