"""Measuring the portfolios of every user, rows to rows."""
