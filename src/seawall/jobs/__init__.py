"""The queue: its app, and deferring a job by name inside the transaction that causes it."""
