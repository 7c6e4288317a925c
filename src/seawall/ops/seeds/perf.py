"""The seed for measuring: as many users as are asked for, in a market of five years."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import ConflictError, ForbiddenError, InvalidError
from seawall.core.time import midnight
from seawall.db import bulk, upkeep
from seawall.db.bulk import Column
from seawall.db.database import Location, open_admin
from seawall.db.engine import OWNER_ROLE
from seawall.db.faults import translated
from seawall.db.series import CANDLES, PRICE_HISTORY
from seawall.db.session import raw_connection, transaction
from seawall.identity.owner import OWNER_ID
from seawall.market.tables import Asset
from seawall.ops.seeds import ledgers, perf_market
from seawall.ops.seeds.claim import Seed, SeedProfile, claim, grow
from seawall.ops.seeds.ledgers import Market
from seawall.ops.seeds.market import INGESTED, Advance
from seawall.ops.seeds.paths import DAY_STEPS, WEEK_STEPS, Paths

MOST_USERS = 1_000_000
BATCH = 500
"""Users in one transaction: what is loaded when it is interrupted is kept, and gone on from."""
