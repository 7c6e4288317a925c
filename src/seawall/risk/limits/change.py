"""Setting limits: what may be written, and for what."""

import math
from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import ConflictError, InvalidError
from seawall.core.money import parse_amount
from seawall.db.locks import lock_chain
from seawall.risk.limits import store
from seawall.risk.limits.schemas import RULES, Amount, LimitName, Limits, LimitUnit, Scope, Subject

_AT_MOST_ONE = frozenset(RULES) - {LimitName.MAX_VOLATILITY}


def parse_name(text: str) -> LimitName:
    """Read the name of a limit; hyphens do as well.

    Raises:
        InvalidError: there is none of this name.
    """
    try:
        return LimitName(text.strip().lower().replace("-", "_"))
    except ValueError:
        raise InvalidError(
            f"There is no limit named {text!r}.", hint=f"There are: {', '.join(LimitName)}."
        ) from None


def parse_setting(text: str) -> tuple[LimitName, Amount]:
    """Read a limit with its amount, such as `max_drawdown=20%`.

    Raises:
        InvalidError: it is not NAME=AMOUNT, or the amount makes no sense for the limit.
    """
    name, found, amount = text.partition("=")
    if not found:
        raise InvalidError(f"{text!r} is not a limit.", hint="Write it like max_drawdown=20%.")
    limit = parse_name(name)
    return limit, _parse_amount(limit, amount.strip())


def _parse_amount(name: LimitName, text: str) -> Amount:
    unit = RULES[name].unit
    share = text.endswith("%")
    if share and unit is not LimitUnit.FRACTION:
        raise InvalidError(f"{name} is not a share, so {text!r} makes no sense.")
    amount = parse_amount(text.removesuffix("%"), name)
    if amount < 0:
        raise InvalidError(f"{name} of {text} is negative.")
    match unit:
        case LimitUnit.USD:
            return amount
        case LimitUnit.COUNT:
            if amount != amount.to_integral_value() or amount >= 2**31:
                raise InvalidError(f"{name} of {text} is not a whole number below {2**31}.")
            return int(amount)
        case _:
            value = float(amount / 100 if share else amount)
    if unit is LimitUnit.FRACTION and name in _AT_MOST_ONE and value > 1:
        raise InvalidError(
            f"{name} of {text} is more than everything.", hint="Write 20 % as 20% or 0.2."
        )
    return value if math.isfinite(value) else math.inf


async def change_limits(
    session: AsyncSession,
    user_id: UUID,
    subject: Subject,
    allowed: Mapping[LimitName, Amount | None],
    blocking: Mapping[LimitName, bool],
) -> Limits:
    """Set limits of a subject, take away those that are None, and say which block trading.

    Raises:
        InvalidError: a limit cannot be set for this kind of subject.
        ConflictError: a limit is to block that is not set.
    """
    _check_scopes((name for name, value in allowed.items() if value is not None), subject.scope)
    await lock_chain(session)
    before = await store.find_limits(session, (subject,), lock=True)
    was_allowed = dict(before[0].allowed) if before else {}
    was_blocking = before[0].blocking if before else frozenset()
    now = {name for name in LimitName if (was_allowed | dict(allowed)).get(name) is not None}
    missing = [name for name, blocks in blocking.items() if blocks and name not in now]
    if missing:
        raise ConflictError(
            f"{missing[0]} is not set, so it cannot block.",
            hint="Set it as well, or let it not block.",
        )
    values: dict[str, object] = {name.value: value for name, value in allowed.items()}
    blocks = {name for name in now if blocking.get(name, name in was_blocking)}
    values["blocking"] = sorted(name.value for name in blocks)
    await store.write_limits(session, user_id, subject, values)
    return (await store.find_limits(session, (subject,)))[0]


def _check_scopes(names: Iterable[LimitName], scope: Scope) -> None:
    for name in names:
        if scope not in RULES[name].scopes:
            wanted = _join(RULES[name].scopes)
            kind = "everything of a user" if scope is Scope.USER else f"one {scope}"
            raise InvalidError(f"{name} can be set for {wanted}, not for {kind}.")


def _join(scopes: Collection[Scope]) -> str:
    named = {Scope.USER: "everything of a user", Scope.PORTFOLIO: "a portfolio"} | {
        Scope.ACCOUNT: "a trading account"
    }
    return " or ".join(named[each] for each in Scope if each in scopes)
