"""The database: its server, connections, bulk path and series."""
