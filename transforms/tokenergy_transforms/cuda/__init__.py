"""The CUDA back end: headers of `segments.cu`, lanes, shards, and the feeder of a device."""
