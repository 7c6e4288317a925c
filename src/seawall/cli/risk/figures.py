"""How a risk report is laid out: for a person, and as a document for programs."""

from typing import TYPE_CHECKING

from seawall.cli import output
from seawall.cli.output import console, print_table, table
from seawall.cli.risk.all_figures import asked_title, print_all_figures
from seawall.cli.risk.covariance import print_covariance
from seawall.cli.risk.matrix import print_matrix

if TYPE_CHECKING:
    from rich.console import Console

    from seawall.risk.schemas import RiskQuestion, RiskReport

_OF_A_YEAR = frozenset({"volatility", "downside_deviation"})
PERCENTAGES = _OF_A_YEAR | frozenset(
    {"var_95", "var_99", "value_at_risk", "expected_shortfall", "max_drawdown"}
)
TITLES = {
    "volatility": "Volatility, annualised",
    "downside_deviation": "Downside deviation, annualised",
    "var_95": "Value at risk 95 %, one day",
    "var_99": "Value at risk 99 %, one day",
    "value_at_risk": "Value at risk, one day, as asked",
    "expected_shortfall": "Expected shortfall 95 %, one day",
    "sharpe_ratio": "Sharpe ratio",
    "sortino_ratio": "Sortino ratio",
    "calmar_ratio": "Calmar ratio",
    "max_drawdown": "Maximum drawdown",
    "beta": "Beta",
    "correlation_btc": "Correlation with BTC",
    "correlation_sp500": "Correlation with the S&P 500",
    "skewness": "Skewness",
    "kurtosis": "Excess kurtosis",
    "herfindahl_index": "Herfindahl index",
    "effective_n": "Effective number of assets",
}


def document(made: "RiskReport") -> dict[str, object]:
    """Lay a report out for programs, its figures by their names."""
    return {
        "id": made.id,
        "portfolio": made.portfolio,
        "as_of": made.as_of,
        "known_at": made.known_at,
        "window": made.question.window,
        "confidence": made.question.confidence,
        "benchmark": made.question.benchmark,
        "risk_free": made.question.risk_free,
        "trials": made.question.trials,
        "max_age": made.question.max_age,
        "method": made.question.method,
        "horizon": made.question.horizon,
        "total_value_usd": made.total_value_usd,
        **made.figures,
        "correlation_matrix": made.correlation_matrix,
        "reasons": made.reasons,
        "observations": made.observations,
        "missing": made.missing,
        "benchmark_observations": made.benchmark_observations,
        "holdings": made.holdings,
        "stale": made.stale,
        "notes": made.notes,
        "all_figures": made.all_figures,
        "covariance": made.covariance,
    }


def print_report(made: "RiskReport") -> None:
    """Print a report for a person."""
    screen = console()
    question = made.question
    screen.print(
        f"Risk of {made.portfolio} as of {output.day(made.as_of)} UTC:"
        f" {made.observations} daily returns of {question.window} asked for\n",
        soft_wrap=True,
    )
    shown = table("Figure", ">Value", "~")
    shown.add_row("Total value", f"{output.money(made.total_value_usd)} USD", "")
    for slug, title in figure_titles(made):
        shown.add_row(title, figure_text(slug, made.figures[slug]), _remark(made, slug))
    print_table(shown)
    screen.print()
    if made.all_figures:
        print_all_figures(made)
    if made.holdings:
        _print_holdings(screen, made)
    print_matrix(screen, made)
    if made.covariance is not None:
        print_covariance(made.covariance)
    output.print_notes(screen, made.notes)
    if made.id is not None:
        screen.print(f"Kept as {made.id}")


def figure_titles(made: "RiskReport") -> list[tuple[str, str]]:
    """List the figures to show of a report, each with its name for people."""
    question = made.question
    asked_apart = question.confidence not in {0.95, 0.99} or not question.is_plain_tail
    return [
        (slug, _title(slug, title, question))
        for slug, title in TITLES.items()
        if asked_apart or slug != "value_at_risk"
    ]


def _title(slug: str, title: str, question: "RiskQuestion") -> str:
    match slug:
        case "beta":
            return f"{title} against {question.benchmark}"
        case "value_at_risk":
            return asked_title("Value at risk", question)
        case _:
            return title


def figure_text(slug: str, value: float | None) -> str:
    """Write a figure in its unit."""
    return output.percent(value) if slug in PERCENTAGES else output.number(value)


def _remark(made: "RiskReport", slug: str) -> str:
    value = made.figures[slug]
    if value is None:
        return made.reasons.get(slug, "")
    if slug in PERCENTAGES - _OF_A_YEAR and made.total_value_usd is not None:
        return f"{float(made.total_value_usd) * value:,.0f} USD"
    if slug in made.benchmark_observations:
        return f"{made.benchmark_observations[slug]} common returns"
    return ""


def _print_holdings(screen: "Console", made: "RiskReport") -> None:
    shown = table("Asset", ">Weight", ">Value USD", ">Price USD", ">Price age", "Source")
    for each in made.holdings:
        shown.add_row(
            each.asset,
            output.percent(each.weight, 1),
            output.money(each.value_usd),
            output.price(each.price_usd),
            # Cash has no price that could grow old.
            output.age(each.price_age_seconds if each.price_source else None),
            each.price_source,
        )
    print_table(shown)
    screen.print()
