"""Settings: written by `make docs`."""

from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

from seawall.client.connection import OMITTED, Connection, Omitted, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSettings:
    """How a user wants to be told and shown things."""

    email_notifications: bool
    push_notifications: bool
    sms_notifications: bool
    price_alerts: bool
    risk_alerts: bool
    portfolio_alerts: bool
    risk_tolerance: str
    max_portfolio_risk: str
    default_currency: str
    timezone: str | None
    theme: str


class SettingsOperations(Connection):
    """What the API does about settings."""

    def change_settings(
        self,
        *,
        if_match: str | None = None,
        email_notifications: bool | Omitted = OMITTED,
        push_notifications: bool | Omitted = OMITTED,
        sms_notifications: bool | Omitted = OMITTED,
        price_alerts: bool | Omitted = OMITTED,
        risk_alerts: bool | Omitted = OMITTED,
        portfolio_alerts: bool | Omitted = OMITTED,
        risk_tolerance: Literal["low", "medium", "high"] | Omitted = OMITTED,
        max_portfolio_risk: Literal["low", "medium", "high", "extreme"] | Omitted = OMITTED,
        default_currency: str | Omitted = OMITTED,
        timezone: str | Omitted | None = OMITTED,
        theme: Literal["light", "dark", "system"] | Omitted = OMITTED,
    ) -> UserSettings:
        """Change settings."""
        request = Request(
            "PATCH",
            "/api/v1/settings",
            json={
                "email_notifications": email_notifications,
                "push_notifications": push_notifications,
                "sms_notifications": sms_notifications,
                "price_alerts": price_alerts,
                "risk_alerts": risk_alerts,
                "portfolio_alerts": portfolio_alerts,
                "risk_tolerance": risk_tolerance,
                "max_portfolio_risk": max_portfolio_risk,
                "default_currency": default_currency,
                "timezone": timezone,
                "theme": theme,
            },
            headers={"If-Match": if_match},
        )
        return self.send(request, TypeAdapter(UserSettings))

    def get_settings(self) -> UserSettings:
        """Tell the settings."""
        request = Request("GET", "/api/v1/settings")
        return self.send(request, TypeAdapter(UserSettings))
