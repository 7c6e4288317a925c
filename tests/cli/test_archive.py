"""`seawall db retention` and `seawall db archive`, as a user meets them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from seawall.ops.retention import POLICY

Cli = Callable[..., Any]
HOURS = {"step": timedelta(hours=1), "start": datetime(2024, 2, 28, 20, tzinfo=UTC)}
LEAN = ("--profile", "lean")


@pytest.fixture
def hours(cli: Cli, write_candles: Callable[..., Path]) -> dict[str, Any]:
    """Import 60 hours around a month's end, of which two are missing; return their coverage."""
    path = write_candles([100 + at for at in range(60)], "BTCUSD-1h.csv", skip=(7, 30), **HOURS)
    assert cli("market", "import", path).code == 0
    (found,) = cli("market", "coverage", "--json").document["series"]
    assert (found["rows"], found["missing"]) == (58, 2)
    return dict(found)


def test_the_policy_is_shown_in_both_profiles(cli: Cli) -> None:
    done = cli("db", "retention")
    assert done.code == 0
    lines = {line[:32].strip(): line[32:].split() for line in done.out.splitlines()}
    assert lines["candles below 5m"] == ["2", "years", "7", "days", "deleted"]
    assert lines["candles 1h to below 1d"] == ["5", "years", "90", "days", "archived"]
    assert lines["audit_logs"] == ["for", "ever", "for", "ever", "-"]
    assert lines["idempotency_keys"] == ["1", "day", "1", "day", "deleted"]
    assert "The profile is standard. Nothing leaves before `--apply` is given." in done.out
    found = cli("db", "retention", *LEAN, "--json").document
    assert found["profile"] == "lean"
    assert [each["rule"] for each in found["rules"]] == [rule.name for rule in POLICY]
    assert found["rules"][0]["keep_days"] == {"standard": 730, "lean": 7}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--dry-run", "--apply"), "exclude each other"),
        (("--profile", "fat"), "neither standard nor lean"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    cli: Cli, options: tuple[str, ...], said: str
) -> None:
    done = cli("db", "retention", *options)
    assert done.code == 2
    assert said in done.err


def test_what_would_go_goes_and_comes_back(cli: Cli, hours: dict[str, Any]) -> None:
    would = cli("db", "retention", "--dry-run", *LEAN, "--json").document
    assert [(each["month"], each["rows"]) for each in would["expired"]] == [
        ("2024-02", 27),
        ("2024-03", 31),
    ]
    assert cli("market", "coverage", "--json").document["series"] == [hours]
    went = cli("db", "retention", "--apply", *LEAN, "--json").document
    assert went == would | {"applied": True, "expired": went["expired"]}
    assert [each | {"before": ""} for each in went["expired"]] == [
        each | {"before": ""} for each in would["expired"]
    ]
    (covered,) = cli("market", "coverage", "--json").document["series"]
    assert (covered["rows"], covered["missing"]) == (0, 0)
    assert {gap["reason"] for gap in covered["gaps"]} == {"expired"}
    assert cli("db", "retention", "--apply", *LEAN).out == "Nothing has expired.\n"
    archives = cli("db", "archive", "list", "--json").document["archives"]
    assert [(each["table"], each["rows"]) for each in archives] == [
        ("candles", 27),
        ("candles", 31),
    ]
    for each in reversed(archives):
        done = cli("db", "archive", "restore", each["id"], "--json")
        assert done.document == {"archive": each["id"], "rows": each["rows"]}
        assert cli("db", "archive", "restore", each["id"]).out == "Put 0 rows back.\n"
    assert cli("market", "coverage", "--json").document["series"] == [hours]
    again = cli("db", "archive", "list")
    assert again.out.count("there") == 2


def test_half_of_it_back_says_where_the_other_half_is(cli: Cli, hours: dict[str, Any]) -> None:
    cli("db", "retention", "--apply", *LEAN)
    first, _ = cli("db", "archive", "list", "--json").document["archives"]
    assert cli("db", "archive", "restore", first["id"]).out == "Put 27 rows back.\n"
    (covered,) = cli("market", "coverage", "--json").document["series"]
    assert (covered["rows"], covered["first_time"]) == (27, hours["first_time"])
    assert [(gap["missing"], gap["reason"]) for gap in covered["gaps"]] == [
        (1, "absent_in_source"),
        (2, "expired"),
        (1, "absent_in_source"),
        (29, "expired"),
    ]
    listed = cli("db", "archive", "list").out.splitlines()
    assert len([line for line in listed if " - " in line]) == 1


def test_the_archive_is_asked_in_sql(cli: Cli, hours: dict[str, Any]) -> None:
    assert hours
    asked = ("db", "archive", "query")
    assert "Archived: nothing yet." in cli(*asked, "SELECT * FROM candles").err
    assert cli("db", "archive", "list").out == "Nothing was archived yet.\n"
    assert cli("db", "archive", "list", "--json").document == {"archives": []}
    cli("db", "retention", "--apply", *LEAN)
    sql = "SELECT count(*) AS n, max(close) AS high, max(time) - min(time) AS span FROM candles"
    done = cli(*asked, sql, "--json")
    assert done.document == {"rows": [{"n": 58, "high": 159.0, "span": 59 * 3600.0}]}
    shown = cli(*asked, "SELECT time, close, trade_count FROM candles ORDER BY time LIMIT 1").out
    assert shown.splitlines()[-2].split() == ["2024-02-28", "20:00:00+00:00", "100.0", "-"]
    assert shown.endswith("1 rows.\n")
    assert cli(*asked, "SELECT close FROM candles WHERE close < 0").out == "0 rows.\n"
    odd = "SELECT time::time AS moment, 'é'::bytea AS bytes FROM candles ORDER BY time LIMIT 1"
    assert cli(*asked, odd, "--json").document["rows"] == [{"moment": "20:00:00", "bytes": "c3a9"}]
    wrong = cli(*asked, "SELECT nothing FROM candles")
    assert wrong.code == 4
    assert wrong.err.startswith("Error: The archive cannot answer: ")


def test_long_answers_are_cut_for_people_and_whole_for_programs(
    cli: Cli, write_candles: Callable[..., Path]
) -> None:
    path = write_candles(list(range(100, 250)), "BTCUSD-1h.csv", **HOURS)
    assert cli("market", "import", path).code == 0
    cli("db", "retention", "--apply", *LEAN)
    sql = "SELECT close FROM candles"
    assert cli("db", "archive", "query", sql).out.endswith("150 rows, 50 not shown.\n")
    assert len(cli("db", "archive", "query", sql, "--json").document["rows"]) == 150


def test_the_environment_chooses_profile_and_folder(
    cli: Cli, hours: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert hours
    monkeypatch.setenv("SEAWALL_RETENTION__PROFILE", "lean")
    monkeypatch.setenv("SEAWALL_ARCHIVE__FOLDER", str(tmp_path / "elsewhere"))
    assert "58 rows would leave the database." in cli("db", "retention", "--dry-run").out
    assert "58 rows have left the database." in cli("db", "retention", "--apply").out
    (folder,) = (tmp_path / "elsewhere").iterdir()
    (manifest,) = folder.glob("*/manifest.json")
    assert [each["rows"] for each in json.loads(manifest.read_text())] == [27, 31]
    monkeypatch.setenv("SEAWALL_ARCHIVE__FOLDER", str(tmp_path / "nowhere"))
    listed = cli("db", "archive", "list", "--json").document["archives"]
    assert [each["is_there"] for each in listed] == [False, False]
    assert "missing" in cli("db", "archive", "list", "--table", "candles").out
    gone = cli("db", "archive", "restore", listed[0]["id"])
    assert gone.code == 3
    assert "SEAWALL_ARCHIVE__FOLDER" in gone.err


def test_an_archive_that_is_not_there_is_named(cli: Cli) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    done = cli("db", "archive", "restore", unknown)
    assert done.code == 3
    assert f"There is no archive {unknown}." in done.err
