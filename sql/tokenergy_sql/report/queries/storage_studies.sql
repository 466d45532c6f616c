-- Studies of whole loads, the largest store first; sites before their halls, racks, nodes and jobs.
-- In: storage_study; $most (how many to return). Out: one row a study, `total` of them in all.
SELECT
    *,
    count(*) OVER () AS total
FROM storage_study
WHERE part_of IS NULL
ORDER BY
    list_position(['site', 'hall', 'rack', 'node', 'job'], kind),
    optimal_energy_nj DESC NULLS LAST, group_id, from_us, study_id
LIMIT $most
