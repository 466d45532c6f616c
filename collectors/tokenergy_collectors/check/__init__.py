"""`tokenergy-collect check`: can the daemon run on this host?

In: a configuration. Out: findings, one line each; nothing is written.
"""
