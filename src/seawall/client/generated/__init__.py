"""Every operation of the API: written by `make docs`."""

from seawall.client.generated.account import AccountOperations
from seawall.client.generated.api_keys import ApiKeysOperations
from seawall.client.generated.audit import AuditOperations
from seawall.client.generated.auth import AuthOperations
from seawall.client.generated.billing import BillingOperations
from seawall.client.generated.limits import LimitsOperations
from seawall.client.generated.market import MarketOperations
from seawall.client.generated.portfolios import PortfoliosOperations
from seawall.client.generated.profile import ProfileOperations
from seawall.client.generated.risk import RiskOperations
from seawall.client.generated.scenarios import ScenariosOperations
from seawall.client.generated.sessions import SessionsOperations
from seawall.client.generated.settings import SettingsOperations
from seawall.client.generated.transactions import TransactionsOperations


class Operations(
    AccountOperations,
    ApiKeysOperations,
    AuditOperations,
    AuthOperations,
    BillingOperations,
    LimitsOperations,
    MarketOperations,
    PortfoliosOperations,
    ProfileOperations,
    RiskOperations,
    ScenariosOperations,
    SessionsOperations,
    SettingsOperations,
    TransactionsOperations,
):
    """Every operation of the API."""
