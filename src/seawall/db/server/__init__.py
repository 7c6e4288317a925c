"""The embedded server: finding, making, starting and stopping a PostgreSQL of our own."""
