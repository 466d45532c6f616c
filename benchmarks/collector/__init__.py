"""What a collector costs: this one beside its peers, on the same emulated boards."""
