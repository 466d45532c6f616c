"""The collector's configuration.

In: a TOML file and command-line overrides. Out: a checked `Config`, and configurations as TOML.
"""
