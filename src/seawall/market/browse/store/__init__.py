"""The SQL of looking around in market data."""
