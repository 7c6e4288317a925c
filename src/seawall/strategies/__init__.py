"""Strategies: their versions, backtests and performance."""
