"""Tokens that programs of this host count and report themselves.

In: datagrams on a Unix socket. Out: rows of `tokens`.
"""
