"""What the schema calls things: of what each is, where its name in the code is enough only there.

A package's `Method` or `Unit` says in its package of what it is; in a schema, and in a client that
is made from it, everything stands side by side.
"""

import re
from typing import Any

NAMES = {
    "Book": "OrderBook",
    "Component": "ScoreComponentName",
    "Direction": "MetricDirection",
    "Estimator": "CovarianceEstimator",
    "Gap": "CoverageGap",
    "Grouping": "RiskGrouping",
    "Import": "TransactionImport",
    "Level": "RiskLevel",
    "Measured": "MeasuredPortfolio",
    "Method": "TargetMethod",
    "Metric": "RiskMetric",
    "Metrics": "RiskMetrics",
    "Operation": "AuditOperation",
    "Outlook": "OptimisationOutlook",
    "Performance": "PortfolioPerformance",
    "Prices": "PriceHistory",
    "Proposal": "WhatIfProposal",
    "Question": "RiskQuestion",
    "Queued": "QueuedMeasurement",
    "Quote": "BestPrices",
    "Rebalance": "RebalancePlan",
    "Report": "RiskReport",
    "Rest": "ScenarioRest",
    "Scope": "ApiKeyScope",
    "Score": "AssetScore",
    "Scores": "AssetScores",
    "Settings": "UserSettings",
    "Severity": "EventSeverity",
    "Snapshot": "PortfolioSnapshot",
    "Source": "ScenarioSource",
    "Subscription": "TierSubscription",
    "Trade": "PublicTrade",
    "Unit": "MetricUnit",
    "Voided": "VoidedTransactions",
    "Voids": "TransactionsToVoid",
    "Wish": "OptimisationWish",
}
_PAGE = re.compile(r"Page_(\w+)_")
"""What pydantic calls a page of something."""
_PREFIX = "#/components/schemas/"


def shown_name(name: str) -> str:
    """Return what the schema calls a type, or a page of it."""
    if page := _PAGE.fullmatch(name):
        return f"{shown_name(page[1])}Page"
    return NAMES.get(name, name)


def rename(schema: dict[str, Any]) -> None:
    """Give every type of a schema the name that it is shown under."""
    parts = schema["components"]
    before = parts["schemas"]
    parts["schemas"] = {shown_name(name): told for name, told in before.items()}
    if len(parts["schemas"]) != len(before):
        raise ValueError("Two types of the schema have one name.")
    _point(schema)


def _point(node: Any) -> None:
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    for key, each in list(pairs):
        if isinstance(each, dict | list):
            _point(each)
        elif isinstance(each, str) and each.startswith(_PREFIX):
            node[key] = _PREFIX + shown_name(each.removeprefix(_PREFIX))
