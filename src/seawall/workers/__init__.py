"""What works the queue off: thin tasks, and every schedule in one file."""
