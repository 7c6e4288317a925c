"""Making portfolios, and importing what happened in them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
Write = Callable[..., Path]

DEPOSIT = "2024-01-01,deposit,USD,100000,,,"
BUY = "2024-01-02,buy,BTC,2,30000,10,"


@pytest.fixture
def main(cli: Cli) -> Cli:
    """Hold one empty portfolio named Main."""
    assert cli("portfolio", "create", "Main").code == 0
    return cli


@pytest.fixture(scope="module")
def refusing(shared: Any) -> Cli:
    """One portfolio named Main, which takes in nothing but what is in it."""
    shared.portfolio(DEPOSIT, BUY)
    return shared  # type: ignore[no-any-return]


def test_a_portfolio_is_made_and_listed(cli: Cli) -> None:
    made = cli("portfolio", "create", "  Long term ", "--description", "for later", "--json")
    assert made.code == 0
    assert (made.document["name"], made.document["description"]) == ("Long term", "for later")
    assert cli("portfolio", "create", "[red]A[/x]").out == "Made portfolio '[red]A[/x]'.\n"
    listed = cli("portfolio", "list")
    assert [line.split("  ")[0] for line in listed.out.splitlines()[2:]] == [
        "[red]A[/x]",
        "Long term",
    ]
    found = cli("portfolio", "list", "--json").document["portfolios"]
    assert [each["name"] for each in found] == ["[red]A[/x]", "Long term"]


@pytest.mark.parametrize("method", ["fifo", "lifo", "hifo", "average"])
def test_a_portfolio_has_a_lot_method_of_its_own(
    cli: Cli, write_transactions: Write, method: str
) -> None:
    made = cli("portfolio", "create", "Mine", "--lots", method, "--json").document
    assert (made["lot_method"], made["is_primary"], made["is_public"]) == (method, True, False)
    assert cli("portfolio", "import", "Mine", write_transactions(DEPOSIT, BUY)).code == 0
    assert cli("portfolio", "show", "Mine").out.splitlines()[0].endswith(f"{method} lots, in USD")
    asked = cli("portfolio", "show", "Mine", "--lots", "lifo", "--json").document
    assert asked["lots"] == "lifo"
    assert cli("portfolio", "create", "Bad", "--lots", "best").code == 2


def test_no_portfolio_yet_is_said_in_words(cli: Cli) -> None:
    assert cli("portfolio", "list").out == (
        "There are no portfolios yet. Make one: seawall portfolio create NAME\n"
    )


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101, "a\udcff"])
def test_a_name_that_names_nothing_is_refused(refusing: Cli, name: str) -> None:
    done = refusing("portfolio", "create", name, "--json")
    assert done.code == 4
    assert "cannot name a portfolio" in done.document["error"]["message"]


@pytest.mark.parametrize("description", ["two\nlines", "\x1b[2J", "\udcff"])
def test_a_description_that_cannot_be_shown_is_refused(refusing: Cli, description: str) -> None:
    done = refusing("portfolio", "create", "x", "--description", description)
    assert done.code == 4
    assert "one line" in done.err


@pytest.mark.parametrize("name", ["Nobody", "a\udcff", ""])
@pytest.mark.parametrize(
    "command", [("portfolio", "show"), ("risk", "report"), ("risk", "history")]
)
def test_an_unknown_portfolio_is_not_found(
    refusing: Cli, command: tuple[str, ...], name: str
) -> None:
    done = refusing(*command, name)
    assert done.code == 3
    assert f"There is no portfolio named {name!r}.\nThere are: Main.\n" in done.err


def test_a_file_is_imported_once(main: Cli, write_transactions: Write) -> None:
    path = write_transactions(DEPOSIT, BUY)
    done = main("portfolio", "import", "main", path)
    assert done.code == 0
    assert done.out == "Main: 2 rows read, 2 inserted, 0 unchanged, 0 rejected\n"
    again = main("portfolio", "import", "Main", path, "--json")
    assert again.document == {
        "portfolio": "Main",
        "rows_read": 2,
        "inserted": 0,
        "unchanged": 2,
        "rejected": [],
        "left_out": 0,
        "imported_at": None,
    }
    longer = write_transactions(DEPOSIT, BUY, "2024-01-03,sell,BTC,1,40000,,", name="longer.csv")
    assert main("portfolio", "import", "Main", longer, "--json").document["inserted"] == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2024-01-03,sell,BTC,2.5,40000,,", "2.5 BTC is asked, 2 BTC is held"),
        ("2124-01-03,buy,BTC,1,40000,,", "is in the future"),
        ("2024-01-03,gift,BTC,1,40000,,", "'gift' is not known"),
        ("yesterday,buy,BTC,1,40000,,", "is not a date or time"),
        ("2024-01-03,buy,BTC,-1,40000,,", "quantity"),
        ("2024-01-03,buy,BTC,nan,40000,,", "quantity 'nan' is not a number"),
        ('2024-01-03,buy,BTC,"1,5",40000,,', "without thousands separators"),
        ("2024-01-03,buy,BTC,1,40000,", "6 columns where the header has 7"),
        ("2024-01-03,buy,BTC,1,400000,,", "USD"),
    ],
)
def test_one_wrong_row_keeps_the_whole_file_out(
    refusing: Cli, write_transactions: Write, row: str, reason: str
) -> None:
    before = refusing("portfolio", "show", "Main", "--as-of", "2024-06-01", "--json").document
    path = write_transactions(DEPOSIT, BUY, "2024-01-03,deposit,USD,5,,,", row)
    done = refusing("portfolio", "import", "Main", path)
    assert done.code == 4
    assert done.out == "Main: 4 rows read, 0 inserted, 2 unchanged, 1 rejected\n"
    assert re.search(r"^  line 5 rejected: ", done.err, re.MULTILINE)
    assert reason in done.err
    assert "Nothing was imported: mend these rows" in done.err
    as_json = refusing("portfolio", "import", "Main", path, "--json")
    assert as_json.code == 4
    assert [each["line"] for each in as_json.document["rejected"]] == [5]
    after = refusing("portfolio", "show", "Main", "--as-of", "2024-06-01", "--json").document
    assert after == before


def test_at_most_twenty_rejected_rows_are_shown(refusing: Cli, write_transactions: Write) -> None:
    path = write_transactions(*["2024-01-03,gift,BTC,1,1,,"] * 23)
    done = refusing("portfolio", "import", "Main", path)
    assert done.err.count(" rejected: ") == 20
    assert "  and 3 more rejected; --json lists them all\n" in done.err
    as_json = refusing("portfolio", "import", "Main", path, "--json").document
    assert len(as_json["rejected"]) == 23


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        (None, 3, "does not exist"),
        (b"", 4, "is empty"),
        (b"date,type,asset\n2024-01-01,buy,BTC\n", 4, "lacks the columns: quantity"),
        (b"date,type,asset,quantity\n", 4, "no transactions"),
        (b"\x00\xff\xfe\x01", 4, "transactions.csv"),
    ],
)
def test_a_file_that_is_none_is_refused(
    refusing: Cli, tmp_path: Path, data: bytes | None, code: int, said: str
) -> None:
    path = tmp_path / "transactions.csv"
    if data is not None:
        path.write_bytes(data)
    done = refusing("portfolio", "import", "Main", path)
    assert done.code == code, done
    assert said in done.err
    assert done.out == ""


@pytest.mark.parametrize("notes", ["\x00", "\x1b[2J", "ümläut ✓"])
def test_odd_characters_in_notes_are_no_bug(
    main: Cli, write_transactions: Write, notes: str
) -> None:
    done = main("portfolio", "import", "Main", write_transactions(DEPOSIT + notes), "--json")
    assert done.code in {0, 4}
    assert "Traceback" not in done.err


def test_a_directory_is_no_file(refusing: Cli, tmp_path: Path) -> None:
    done = refusing("portfolio", "import", "Main", tmp_path)
    assert done.code == 4
    assert "is not a file" in done.err
