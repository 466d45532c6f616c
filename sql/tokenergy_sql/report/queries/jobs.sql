-- Every job of the index, the largest consumer first.
-- In: job_sum. Out: its rows, and te_gpu: J per generated token, or per trained token.
SELECT *, coalesce(te_gpu_out, te_train) AS te_gpu
FROM job_sum
ORDER BY e_gpu_nj DESC NULLS LAST, job_id
