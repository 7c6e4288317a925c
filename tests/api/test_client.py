"""The client against the API itself, over real connections."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
import uvicorn

from seawall.client import Client
from seawall.client.generated.transactions import NewTransaction
from seawall.core.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError

T = TypeVar("T")
EMAIL = "client@example.com"
CSV = (
    "date,type,asset,quantity,price_usd,fee_usd,notes\n"
    "2024-01-01,deposit,USD,1000,,,\n"
    "2024-01-02,buy,BTC,0.01,40000.10,1.5,first\n"
)


@pytest.fixture
async def address(web: Any) -> AsyncIterator[str]:
    """The app on a port of this machine."""
    config = uvicorn.Config(web.app, lifespan="off", log_level="warning", ws="none")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # Who asks before it serves waits: it listens already.
        serving = asyncio.create_task(server.serve([listening]))
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        await serving


async def use(client: Client, work: Callable[[Client], T]) -> T:
    """Let a client work in a thread: the server is in this one."""
    return await asyncio.to_thread(work, client)


async def test_a_user_s_whole_way(web: Any, address: str) -> None:
    await web.known(EMAIL)

    def work(client: Client) -> None:
        client.log_in_as(EMAIL, web.password)
        made = client.create_portfolio(name="Main", lot_method="hifo")
        assert isinstance(made.id, UUID)
        assert made.created_at.tzinfo is not None
        assert made.total_value_usd is None
        tried = client.import_transactions(made.id, CSV, dry_run=True)
        assert (tried.inserted, tried.dry_run) == (2, True)
        assert client.import_transactions(made.id, CSV).inserted == 2
        more = NewTransaction(
            time=datetime(2024, 1, 3, tzinfo=UTC),
            type="buy",
            asset="ETH",
            quantity="0.1",
            price_usd="2000.5",
        )
        assert client.import_transactions(made.id, transactions=[more]).inserted == 1
        page = client.list_transactions(made.id, type="buy", asset="BTC", total=True)
        (bought,) = page.items
        assert (bought.price_usd, bought.quantity) == (Decimal("40000.10"), Decimal("0.01"))
        assert page.total == 1
        every = list(client.every(client.list_transactions, made.id, limit=1))
        assert [each.asset for each in every] == ["ETH", "BTC", "USD"]
        since = datetime(2024, 1, 2, tzinfo=UTC)
        assert len(client.list_transactions(made.id, since=since).items) == 2
        assert client.get_portfolio(made.id).name == "Main"
        assert client.etag is not None

    with Client(address) as client:
        await use(client, work)


async def test_a_key_is_enough_and_errors_are_seawall_s(web: Any, address: str) -> None:
    await web.known(EMAIL)

    def work(client: Client) -> None:
        client.log_in_as(EMAIL, web.password)
        key = client.create_api_key(name="reads", scopes=["read"]).key
        with Client(address, key=key) as reader:
            assert reader.list_portfolios().items == []
            with pytest.raises(ForbiddenError, match="may not manage") as refused:
                reader.create_portfolio(name="Main")
            assert refused.value.hint == "Make one with the scope manage."
        with pytest.raises(NotFoundError, match="no such portfolio") as absent:
            client.get_portfolio(uuid4())
        assert absent.value.details["type"] == "/problems/not-found"
        client.create_portfolio(name="Main")
        with pytest.raises(ConflictError, match="'Main' already"):
            client.create_portfolio(name="MAIN")
        with pytest.raises(InvalidError) as wrong:
            client.create_portfolio(name="")
        assert "'where': 'body.name'" in str(wrong.value.details["errors"])
        with pytest.raises(InvalidError, match="no time zone"):
            client.list_transactions(uuid4(), since=datetime(2024, 1, 1))  # noqa: DTZ001 - it is the point

    with Client(address) as client:
        await use(client, work)


async def test_what_was_changed_meanwhile_is_not_changed(web: Any, address: str) -> None:
    await web.known(EMAIL)

    def work(client: Client) -> None:
        client.log_in_as(EMAIL, web.password)
        client.get_profile()
        seen = client.etag
        assert client.change_profile(display_name="Ada", if_match=seen).display_name == "Ada"
        with pytest.raises(ConflictError, match="changed meanwhile"):
            client.change_profile(display_name="Eve", if_match=seen)
        assert client.change_profile(display_name=None).display_name is None

    with Client(address) as client:
        await use(client, work)


async def test_a_token_is_renewed_before_it_ends(web: Any, address: str) -> None:
    await web.known(EMAIL)

    def work(client: Client) -> None:
        client.log_in_as(EMAIL, web.password)
        assert client._tokens is not None
        first = client._tokens.access
        client._tokens.expires_at = datetime.now(UTC) + timedelta(seconds=5)
        client.get_profile()
        assert client._tokens.access.get_secret_value() != first.get_secret_value()
        client.log_out_everywhere()
        with pytest.raises(ForbiddenError):
            client.get_profile()

    with Client(address) as client:
        await use(client, work)
