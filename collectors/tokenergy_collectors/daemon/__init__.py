"""`tokenergy-collect run`: one process that collects one node.

In: the configuration and opened boards. Out: sealed files in the lake, uploads, and a supervisor
that knows the state. `daemon.py` does one run; `reload.py` starts the next one after a SIGHUP.
"""
