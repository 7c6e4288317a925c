"""What weights lose in a scenario: shocks, replayed paths, dependence, liquidity, reversed."""
