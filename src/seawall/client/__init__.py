"""A client of a Seawall server's API, for programs and notebooks."""

from seawall.client.client import Client as Client
from seawall.client.connection import OMITTED as OMITTED
