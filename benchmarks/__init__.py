"""Benchmarks: each measures Seawall beside an alternative in the same run."""
