"""Files and services that transactions come from."""
