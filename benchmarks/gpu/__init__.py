"""What CUDA is worth: kernels beside copy bandwidth and peers, the feeder beside the bus and CPU."""
