"""Scores of assets, from 0 to 100: what is known of each, scored, kept by day, and explained."""
