"""Prices: what can be traded where, and how it was priced when."""
