"""TokEnergy, host side: sources -> sampler -> lake."""

__version__ = "0.1.0"
