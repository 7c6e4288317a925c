"""The audit log as its user may read it: their own entries, and whether they follow on."""
