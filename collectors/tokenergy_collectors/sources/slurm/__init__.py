"""Slurm: which job holds which board of this node, told by slurmd's prolog and epilog.

In: files that `deploy/slurm/tokenergy-hook.sh` writes. Out: rows of `jobs`, and the edges of jobs.
"""
