"""What battery would tame a load: the optimum by linear program, a causal rule, sweeps of sizes."""
