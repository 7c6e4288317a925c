"""The audit log: who changed what, and proof that the log itself was not changed."""
