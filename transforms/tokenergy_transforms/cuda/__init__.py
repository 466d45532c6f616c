"""The CUDA back end: device headers of `segments.cu`, its compiler, lanes, shards and feeder."""
