"""What CUDA is worth: kernels beside copy bandwidth and peers, the feeder beside bus and CPU."""
