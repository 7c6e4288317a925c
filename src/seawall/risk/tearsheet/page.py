"""A tear sheet as one HTML page that loads nothing: no script, no font, no picture."""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.time import iso
from seawall.quant.attribution import RiskMeasure
from seawall.quant.metrics.inference import LEVEL
from seawall.risk.schemas import RiskReport
from seawall.risk.tearsheet import figures
from seawall.risk.tearsheet.charts import draw, measure_of
from seawall.risk.tearsheet.gather import TearSheet, gather
from seawall.risk.tearsheet.heatmap import heatmap

_TEMPLATE = "page.html.jinja"


@dataclass(frozen=True, slots=True)
class HoldingRow:
    """A line of the table of holdings, in words."""

    asset: str
    quantity: str
    price: str
    age: str
    source: str
    value: str
    weight: str
    of_volatility: str
    of_shortfall: str
    missing: int
    stale: bool


async def tear_sheet(session: AsyncSession, report: RiskReport) -> str:
    """Write the page of a kept report, with no more knowledge than the report had."""
    return render(await gather(session, report))


def render(sheet: TearSheet) -> str:
    """Write a page; equal sheets give equal pages."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - slow to load

    environment = Environment(
        loader=PackageLoader("seawall.risk.tearsheet"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": figures.percent,
        "number": figures.number,
        "iso": iso,
        "age": figures.age,
        "rate": figures.rate,
    }
    report = sheet.report
    return environment.get_template(_TEMPLATE).render(
        sheet=sheet,
        report=report,
        charts=draw(sheet),
        heatmap=heatmap(report),
        headlines=figures.headlines(sheet),
        figures=figures.own_figures(sheet),
        families=figures.families(sheet),
        level=f"{LEVEL:.0%}",
        holdings=_holdings(sheet),
        shortfall_days=_shortfall_days(sheet),
        sources=_sources(report),
        since=min((each.price_time for each in sheet.stale if each.price_time), default=None),
        simulated=any("simulated prices" in note for note in report.notes),
    )


def _shortfall_days(sheet: TearSheet) -> int:
    if not sheet.by_asset.measures:
        return 0
    return measure_of(sheet.by_asset, RiskMeasure.EXPECTED_SHORTFALL).days


def _sources(report: RiskReport) -> list[str]:
    """Say which candles price what, each once."""
    found: dict[str, list[str]] = {}
    for each in report.holdings:
        if each.price_source:
            found.setdefault(each.price_source, []).append(each.asset)
    return [f"{', '.join(assets)}: {source}" for source, assets in sorted(found.items())]


def _holdings(sheet: TearSheet) -> list[HoldingRow]:
    shares: list[dict[str, float | None]] = [{}, {}]
    if sheet.by_asset.measures:
        shares = [
            {part.name: part.share for part in measure_of(sheet.by_asset, each).parts}
            for each in (RiskMeasure.VOLATILITY, RiskMeasure.EXPECTED_SHORTFALL)
        ]
    stale = {each.asset for each in sheet.stale}
    return [
        HoldingRow(
            asset=each.asset,
            quantity=_quantity(each.quantity),
            price=figures.price(each.price_usd),
            age=figures.age(each.price_age_seconds) if each.price_source else figures.UNDEFINED,
            source=each.price_source
            or ("no price is known" if each.price_usd is None else "money"),
            value=figures.number(each.value_usd, 2),
            weight=figures.percent(each.weight, 1),
            of_volatility=figures.percent(shares[0].get(each.asset), 1),
            of_shortfall=figures.percent(shares[1].get(each.asset), 1),
            missing=each.missing,
            stale=each.asset in stale,
        )
        for each in sheet.report.holdings
    ]


def _quantity(value: Decimal) -> str:
    """Write a quantity with no more digits than it has, and no more than eight of them."""
    return f"{value:,.8f}".rstrip("0").rstrip(".")
