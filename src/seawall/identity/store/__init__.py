"""The SQL of users and of what lets them in, one module for each kind of row."""
