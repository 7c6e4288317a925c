"""The metrics, one file a family, and their registry."""
