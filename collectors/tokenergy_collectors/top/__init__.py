"""`tokenergy-collect top`: GPUs and jobs now, on a terminal.

In: a collector's endpoint, or boards sampled in this process. Out: frames as text or JSON.
"""
