"""The cache: a Redis-compatible server or this process, which may be lost without losing anything.

`keys` lists what is kept, `client` reads and writes it, `events` drops what rows have outdated.
"""

from seawall.db.cache.client import Cache
from seawall.db.cache.connect import open_cache, ping
from seawall.db.cache.events import follow

__all__ = ["Cache", "follow", "open_cache", "ping"]
