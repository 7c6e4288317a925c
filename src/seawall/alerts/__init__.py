"""Alerts and notifications."""
