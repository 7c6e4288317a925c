"""The page of a report: whole, escaped, loading nothing, with a reason for what it lacks."""

import re
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db.database import Location
from seawall.identity.owner import OWNER_ID
from seawall.market.ingest import ingest
from seawall.market.schemas import CANDLE_DTYPE, ParsedFile, SeriesKind, Timeframe
from seawall.portfolios.importers.csv import HEADER, parse_transactions
from seawall.portfolios.portfolios import create_portfolio, get_portfolio
from seawall.portfolios.transactions import import_transactions
from seawall.quant.covariance.estimate import Estimator
from seawall.quant.histories import HistoryMethod
from seawall.quant.tails import TailMethod
from seawall.risk.limits.tables import RiskEvent, RiskLimit
from seawall.risk.report import report
from seawall.risk.schemas import ASKED, CovarianceChoice, RiskQuestion, RiskReport
from seawall.risk.tables import StressTest
from seawall.risk.tearsheet.page import tear_sheet

FillModule = Callable[[Callable[[AsyncSession], Coroutine[None, None, None]]], Location]

DAYS = 200
AS_OF = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=DAYS)
CHARTS = ("growth", "drawdown", "distribution", "rolling", "by-asset", "by-class")
EVIL = "<script>alert(1)</script>&\"'"
VOID = {"meta", "link", "br", "hr", "img", "input"}
CONTRAST = 4.5


class Strict(HTMLParser):
    """Reads a page, and refuses elements that are not closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def _candles(pair: str, seed: int, skip: tuple[int, ...] = ()) -> ParsedFile:
    kept = np.setdiff1d(np.arange(DAYS), skip)
    records = np.zeros(kept.size, CANDLE_DTYPE)
    close = 1_000 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.03, DAYS)))[kept]
    records["time"] = np.datetime64("2024-01-01", "us") + kept * np.timedelta64(1, "D")
    for name in ("open", "high", "low", "close"):
        records[name] = close
    records["quote_volume"], records["trade_count"] = np.nan, -1
    return ParsedFile(
        "test", SeriesKind.CANDLES, records, kept.size, (), pair, "kraken", Timeframe(86_400)
    )


async def _fill(session: AsyncSession) -> None:
    await ingest(session, _candles("BTC/USD", 1), "btc")
    await ingest(session, _candles("ETH/USD", 2, skip=(100, 101)), "eth")


@pytest.fixture(scope="module")
def filled_once(fill_module: FillModule) -> Location:
    """The module's database with what each test begins with."""
    return fill_module(_fill)


@pytest.fixture
async def filled(filled_once: Location, undone_session: AsyncSession) -> AsyncSession:
    """A session on a database with two coins, one with a gap."""
    assert filled_once.name
    return undone_session


async def _make(session: AsyncSession, name: str, *rows: str) -> None:
    portfolio = await create_portfolio(session, OWNER_ID, name)
    text = "\n".join((HEADER, *rows)) + "\n"
    done = await import_transactions(session, portfolio, parse_transactions(text.encode(), AS_OF))
    assert not done.rejected


async def _report(session: AsyncSession, name: str, window: int = 180) -> RiskReport:
    portfolio = await get_portfolio(session, name)
    return await report(session, portfolio, AS_OF, RiskQuestion(window=window))


def _drawings(page: str) -> dict[str, ET.Element]:
    found = [ET.fromstring(each) for each in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]  # noqa: S314
    drawings = {}
    for each in found:
        title, described = each.find("title"), each.find("desc")
        assert title is not None
        assert described is not None
        assert title.text
        assert described.text
        names = (title.attrib["id"], described.attrib["id"])
        assert each.attrib["aria-labelledby"].split() == list(names)
        assert each.attrib["role"] == "img"
        drawings[title.attrib["id"].removesuffix("-title")] = each
    return drawings


def _loads_nothing(page: str, read: Strict) -> None:
    assert not re.search(r"https?://|url\(|@import|javascript:", page)
    assert not read.tags.keys() & {"script", "link", "img", "iframe", "object", "form"}
    assert not [each for each in read.attributes if each[1] in {"src", "href", "action", "style"}]
    assert not [each for each in read.attributes if each[1].startswith("on")]


async def test_a_page_has_every_chart_and_loads_nothing(filled: AsyncSession) -> None:
    rows = ("2024-01-02,deposit,USD,9000,,,", "2024-01-03,buy,BTC,2,1000,4,")
    await _make(filled, EVIL, *rows, "2024-01-03,buy,ETH,3,900,2,", "2024-01-03,buy,USDT,500,1,,")
    made = await _report(filled, EVIL)
    page = await tear_sheet(filled, made)
    read = Strict(page)
    _loads_nothing(page, read)
    drawings = _drawings(page)
    assert tuple(drawings) == CHARTS
    assert "alert" not in page.replace("&lt;script&gt;alert(1)&lt;/script&gt;", "")
    assert EVIL in read.text
    for text in ("3 of the window's 180 daily returns are missing", "VaR 95 %", "BTC ends at"):
        assert text in read.text
    assert "kraken BTC/USD 1d" in read.text
    assert read.text.count("Not drawn") == 0
    assert read.tags["table"] == 3
    assert len(page) < 500_000
    assert await tear_sheet(filled, made) == page
    # Two breaks of the line of growth: the start of the path, and where it goes on.
    own = [each for each in drawings["growth"] if each.attrib.get("class") == "own line"]
    assert own[0].attrib["d"].count("M") == 2


def _rows(page: str, section: str) -> list[tuple[str, str, str]]:
    """The name, value and interval of each figure of a section."""
    (part,) = re.findall(rf'<section class="panel[^"]*{section}".*?</section>', page, re.DOTALL)
    found = re.findall(
        r'<th scope="row">(.*?)(?: <span.*?)?</th><td class="number">(.*?)</td>'
        r'<td class="number interval">(.*?)</td>',
        part,
    )
    return [(unescape(name), unescape(value), unescape(between)) for name, value, between in found]


async def test_each_figure_has_its_interval_beside_it(filled: AsyncSession) -> None:
    await _make(filled, "Mine", "2024-01-03,buy,BTC,2,1000,4,", "2024-01-03,buy,ETH,3,900,2,")
    portfolio = await get_portfolio(filled, "Mine")
    question = RiskQuestion(window=180, everything=True)
    made = await report(filled, portfolio, AS_OF, question)
    page = await tear_sheet(filled, made)
    known = made.all_figures
    families = _rows(page, "families")
    assert len(families) == len(known) - len(ASKED)
    volatility = known["volatility"]
    assert volatility.low is not None
    assert volatility.high is not None
    between = f"{volatility.low:.2%} to {volatility.high:.2%}"
    assert ("Volatility", f"{volatility.value:.2%}", between) in families
    assert f'<dd class="interval">{between}</dd>' in page
    with_interval = [name for name, _, interval in families if interval]
    assert len(with_interval) == sum(each.low is not None for each in known.values()) - len(ASKED)
    own = _rows(page, "figures")
    assert set(own) <= set(families)
    # A report of its own figures alone shows them as sure as they are.
    plain = await tear_sheet(filled, await report(filled, portfolio, AS_OF, RiskQuestion(180)))
    assert _rows(plain, "figures") == own
    assert "families" not in Strict(plain).text


async def test_a_tail_by_another_method_is_named_as_it_was_asked(filled: AsyncSession) -> None:
    await _make(filled, "Mine", "2024-01-03,buy,BTC,2,1000,4,")
    portfolio = await get_portfolio(filled, "Mine")
    question = RiskQuestion(
        180, 0.975, risk_free=0.045, max_age=0.5, method=TailMethod.GAUSSIAN, horizon=10
    )
    choice = CovarianceChoice(Estimator.LEDOIT_WOLF, HistoryMethod.COMMON, 180)
    question = replace(question, covariance=choice)
    made = await report(filled, portfolio, AS_OF, question)
    page = await tear_sheet(filled, made)
    var, shortfall = (made.all_figures[slug] for slug in ASKED)
    rows = {name: (value, interval) for name, value, interval in _rows(page, "figures")}
    for name, figure in (("Value at risk", var), ("Expected shortfall", shortfall)):
        between = f"{figure.low:.2%} to {figure.high:.2%}"
        assert rows[f"{name}, 97.5%, 10 days, gaussian"] == (f"{figure.value:.2%}", between)
    text = Strict(page).text
    assert "the risk-free rate is 4.5% a year" in text
    assert "Both are of the past days as they were, over one day." in text
    assert made.covariance is not None
    together = f"Volatility, annualised: {made.covariance.volatility:.2%}"
    assert f"ledoit-wolf covariance of common histories {together}" in text
    assert "stale" not in text


async def test_prices_are_stale_after_what_the_question_allows(filled: AsyncSession) -> None:
    await _make(filled, "Mine", "2024-01-03,buy,BTC,2,1000,4,")
    portfolio = await get_portfolio(filled, "Mine")
    later = AS_OF + timedelta(days=1)
    for age, told in ((1.5, False), (0.5, True)):
        made = await report(filled, portfolio, later, RiskQuestion(180, max_age=age))
        text = Strict(await tear_sheet(filled, made)).text
        assert ("Older than 0.5 days are those of BTC" in text) == told


async def test_what_is_lacking_has_its_reason(filled: AsyncSession) -> None:
    await create_portfolio(filled, OWNER_ID, "Empty")
    await _make(filled, "Short", "2024-01-03,buy,BTC,2,1000,4,")
    await _make(filled, "Odd", "2024-01-03,buy,NOPE,2,1000,4,")
    empty = Strict(await tear_sheet(filled, await _report(filled, "Empty")))
    assert empty.text.count("Not drawn: the portfolio holds nothing.") == 6
    assert "No prices are in these figures." in empty.text
    odd = Strict(await tear_sheet(filled, await _report(filled, "Odd")))
    assert odd.text.count("Not drawn: no price of NOPE is known.") == 6
    assert "No value: no price of NOPE is known." in odd.text
    page = await tear_sheet(filled, await _report(filled, "Short", window=3))
    short = Strict(page)
    assert tuple(_drawings(page)) == ("growth", "drawdown", "distribution", "by-asset", "by-class")
    assert "Not drawn: needs at least 31 daily returns in a row, of 3 daily returns." in short.text
    assert "VaR 95 %: needs at least 20 observations, has 3." in short.text
    assert "needs at least 4 observations, has 3" in short.text
    assert "Not shown: needs two holdings that vary." in short.text
    one = await tear_sheet(filled, await _report(filled, "Short", window=1))
    assert Strict(one).text.count("needs at least 2 daily returns, has 1") == 4


async def test_stress_tests_and_broken_limits_are_of_the_moment(filled: AsyncSession) -> None:
    await _make(filled, "Mine", "2024-01-03,buy,BTC,2,1000,4,")
    made = await _report(filled, "Mine")
    for days, loss in ((2, 30.0), (1, 25.0), (-1, 99.0)):
        await filled.execute(
            insert(StressTest).values(
                portfolio_id=made.portfolio_id,
                scenario_name="Crash <b>",
                test_date=AS_OF - timedelta(days=days),
                portfolio_value=Decimal(1000),
                loss_amount=Decimal(10) * Decimal(loss),
                loss_percentage=loss,
            )
        )
    limit = insert(RiskLimit).values(portfolio_id=made.portfolio_id, max_drawdown=0.1)
    limit_id = await filled.scalar(limit.returning(RiskLimit.id))
    for days, level in ((3, "critical"), (-1, "info")):
        await filled.execute(
            insert(RiskEvent).values(
                limit_id=limit_id,
                limit_name="max_drawdown",
                event_type="limit_broken",
                severity=level,
                description="Fell <i>far</i>",
                triggered_at=AS_OF - timedelta(days=days),
                resolved_at=AS_OF + timedelta(hours=1) if days > 0 else None,
            )
        )
    read = Strict(await tear_sheet(filled, made))
    assert "1 limit broken." in read.text
    assert "max drawdown, critical" in read.text
    assert "Fell <i>far</i>" in read.text
    assert "Crash <b> 25.00% 250.00 1,000.00 unknown" in read.text
    assert "99.00%" not in read.text


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


async def test_text_has_contrast_in_every_scheme(filled: AsyncSession) -> None:
    await create_portfolio(filled, OWNER_ID, "Empty")
    page = await tear_sheet(filled, await _report(filled, "Empty"))
    schemes = re.findall(r":root \{(.*?)\}", page, re.DOTALL)
    assert len(schemes) == 3
    for scheme in schemes:
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", scheme))
        for text, ground in (
            *((name, "panel") for name in ("text", "quiet", "own", "other", "gain", "loss")),
            *((name, "page") for name in ("text", "quiet")),
            *((name, "warn-page") for name in ("text", "warn")),
        ):
            light, dark = sorted((_luminance(colours[text]), _luminance(colours[ground])))[::-1]
            assert (light + 0.05) / (dark + 0.05) >= CONTRAST, (text, ground, scheme)
