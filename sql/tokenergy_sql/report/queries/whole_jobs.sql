-- The jobs with a part in a window, with the figures of their whole lives.
-- In: job_index. Out: its rows, and te_gpu: J per generated token, or per trained token.
SELECT *, coalesce(te_gpu_out, te_train) AS te_gpu
FROM job_index
