"""The lake and its contract: the files that all three packages read and write."""

from tokenergy_collectors.lake.lake import Lake

__all__ = ["Lake"]
