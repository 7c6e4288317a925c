"""Changing what a portfolio is called and how it is kept, and deleting it."""
