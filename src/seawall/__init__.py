"""Seawall: prices, portfolios and risk of crypto holdings, on your own machine."""
