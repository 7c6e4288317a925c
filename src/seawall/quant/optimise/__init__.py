"""Weights by a rule: of least variance, of equal risk, by clusters, of the smallest tail."""
