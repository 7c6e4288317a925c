"""Mending what was recorded wrongly, and what portfolios are called, by commands."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
Write = Callable[..., Path]

ROWS = (
    "2024-01-01,deposit,USD,1000,,,",
    "2024-01-02,buy,BTC,2,100,1,",
    "2024-01-03,sell,BTC,1,150,,",
)


@pytest.fixture
def main(cli: Cli, write_transactions: Write) -> Cli:
    """Hold one portfolio named Main with three transactions."""
    assert cli("portfolio", "create", "Main").code == 0
    assert cli("portfolio", "import", "Main", write_transactions(*ROWS)).code == 0
    return cli


def _ids(cli: Cli, *options: str) -> list[str]:
    found = cli("portfolio", "transactions", "Main", "--json", *options).document
    return [each["id"] for each in found["transactions"]]


def test_a_transaction_is_voided_and_imported_again_only_when_it_is_wanted(
    main: Cli, write_transactions: Write
) -> None:
    sold, bought, _ = _ids(main)
    refused = main("portfolio", "void", "Main", bought)
    assert refused.code == 5
    assert "a transaction that was recorded fails: sell of 1 BTC" in refused.err
    done = main("portfolio", "void", "main", sold, "--reason", "a duplicate")
    assert (done.code, done.out) == (0, "Voided 1 transaction.\n")
    assert main("portfolio", "void", "Main", sold).code == 5
    assert sold not in _ids(main)
    assert _ids(main, "--voided", "only") == [sold]
    assert _ids(main, "--voided", "with", "--asset", "btc") == [sold, bought]
    assert "a duplicate" in main("portfolio", "transactions", "Main", "--voided", "with").out
    path = write_transactions(*ROWS, name="again.csv")
    again = main("portfolio", "import", "Main", path)
    assert again.out == "Main: 3 rows read, 0 inserted, 2 unchanged, 0 rejected\n"
    assert again.err == "1 left out, for they were voided: --again takes them.\n"
    assert main("portfolio", "import", "Main", path, "--again", "--json").document["inserted"] == 1
    both = main("portfolio", "void", "Main", bought, _ids(main)[0], "--json")
    assert both.document == {"voided": 2}


def test_a_transaction_is_corrected(main: Cli) -> None:
    sold, bought, _ = _ids(main)
    done = main("portfolio", "correct", "Main", bought, "--price", "90", "--fee", "", "--json")
    assert done.code == 0
    new = done.document
    assert (new["price_usd"], new["fee_usd"], new["quantity"]) == ("90", "0", "2")
    assert new["replaces_id"] == bought
    assert main("portfolio", "show", "Main", "--json").document["cost_basis_usd"] == "90"
    assert main("portfolio", "correct", "Main", sold, "--quantity", "1").out == (
        "It is so already.\n"
    )
    assert main("portfolio", "correct", "Main", sold, "--quantity", "3").code == 4
    assert main("portfolio", "correct", "Main", sold).code == 2
    assert main("portfolio", "correct", "Main", bought, "--notes", "mended").code == 5
    listed = main("portfolio", "transactions", "Main").out
    assert "corrected" in listed
    assert bought not in listed


def test_an_import_is_voided_whole(main: Cli, write_transactions: Write) -> None:
    (imported,) = main("portfolio", "imports", "Main", "--json").document["imports"]
    assert (imported["transactions"], imported["voided"]) == (3, 0)
    at = imported["imported_at"]
    assert at in main("portfolio", "imports", "Main").out
    assert main("portfolio", "void", "Main").code == 2
    assert main("portfolio", "void", "Main", "--import", "yesterday").code == 2
    assert main("portfolio", "void", "Main", "--import", "2024-01-01").code == 3
    done = main("portfolio", "void", "Main", "--import", at, "--reason", "the wrong file")
    assert (done.code, done.out) == (0, "Voided 3 transactions.\n")
    assert main("portfolio", "transactions", "Main").out == "There are no such transactions.\n"
    assert "Nothing is held." in main("portfolio", "show", "Main").out
    path = write_transactions(*ROWS, name="again.csv")
    assert main("portfolio", "import", "Main", path, "--json").document["inserted"] == 3
    assert main("portfolio", "transactions", "Main", "--voided", "maybe").code == 2


def test_a_portfolio_is_renamed_and_kept_otherwise(main: Cli) -> None:
    assert main("portfolio", "create", "Other").code == 0
    done = main("portfolio", "change", "main", "--name", "Savings", "--lots", "lifo")
    assert (done.code, done.out) == (0, "Changed portfolio 'Savings'.\n")
    assert main("portfolio", "change", "Savings", "--name", "other").code == 5
    assert main("portfolio", "change", "Savings", "--color", "red").code == 4
    assert main("portfolio", "change", "Savings", "--lots", "best").code == 2
    options = ("--primary", "--public", "--show-quantities", "--description", "for later")
    changed = main("portfolio", "change", "Other", *options, "--json").document
    assert changed["is_primary"]
    assert changed["is_public"]
    assert changed["shows_quantities"]
    private = main("portfolio", "change", "Other", "--private", "--json").document
    assert (private["is_public"], private["description"]) == (False, "for later")
    found = main("portfolio", "list", "--json").document["portfolios"]
    assert [(each["name"], each["lot_method"]) for each in found] == [
        ("Other", "fifo"),
        ("Savings", "lifo"),
    ]


def test_a_portfolio_is_deleted_and_its_name_is_free(
    main: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: "n")
    assert main("portfolio", "delete", "Main").code != 0
    assert main("portfolio", "show", "Main").code == 0
    done = main("portfolio", "delete", "main", "--yes")
    assert (done.code, done.out) == (0, "Deleted portfolio 'Main'.\n")
    assert main("portfolio", "show", "Main").code == 3
    assert main("portfolio", "create", "Main").code == 0
    assert main("portfolio", "transactions", "Main", "--json").document == {"transactions": []}
