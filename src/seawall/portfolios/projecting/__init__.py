"""Storing what follows from a portfolio's transactions."""
