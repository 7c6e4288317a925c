"""Streams: what changes is told to whoever listens, over WebSocket and Server-Sent Events."""
