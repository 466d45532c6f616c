"""Imports logs of nvidia-smi."""
