"""The page of the retention policy."""

from collections.abc import Iterator

from scripts.reference.markdown import code, page, table
from seawall.ops.retention import POLICY, Profile, in_words


def retention_page() -> str:
    """List every rule of the policy."""
    profiles = [code(profile.value) for profile in Profile]
    return page(
        "Retention",
        "How long rows are kept, from the instant in the column of time, in each profile, and what"
        " becomes of them then. Of a condition `:cutoff` is the instant before which rows expire."
        " [Retention and the archive](../retention.md) tells the rest.",
        table(("Rule", "Table", "Condition", "Time", *profiles, "Then"), _rules()),
    )


def _rules() -> Iterator[tuple[str, ...]]:
    for rule in POLICY:
        condition = "" if rule.condition == "true" else code(rule.condition)
        limits = (in_words(rule.keep(profile)) for profile in Profile)
        yield rule.name, code(rule.table), condition, code(rule.time), *limits, rule.then
