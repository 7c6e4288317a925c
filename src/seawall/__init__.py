"""Seawall: prices, portfolios and risk of crypto holdings, on your own machine."""

__version__ = "0.1.0"
