"""What a checkout asks: a cart, where and when, and everything known about the customer.

A request is checked once, here. Everything in it has a limit, so that no sum can overflow and no page can be
flooded; a refusal names the field by JSON pointer, the value, and what was expected. Nobody's name, birth date or
number belongs in it: facts are coarse (`fenqi.policy.facts`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from fenqi.calendars import to_epoch
from fenqi.money import CURRENCIES, MAX_MINOR
from fenqi.policy.facts import (
    EARLIEST,
    LATEST,
    MAX_NAME,
    VOCABULARY,
    FactValue,
    check_facts,
    clock_facts,
    freeze_facts,
    stale_facts,
)
from fenqi.policy.rollout import places
from fenqi.policy.verdict import Override
from fenqi.problems import BadInput

if TYPE_CHECKING:
    from fenqi.policy.compile import Policy

__all__ = [
    "MAX_LINES",
    "MAX_QUANTITY",
    "CheckoutRequest",
    "Known",
    "Line",
    "RequestError",
    "cart_facts",
    "checked_ages",
    "checked_amount",
    "facts_of",
    "known_facts",
    "read_request",
]

MAX_LINES: Final = 200
MAX_QUANTITY: Final = 10_000
MAX_TITLE: Final = 500
MAX_FACTS: Final = 500

_KINDS: Final = frozenset(VOCABULARY["cart.kinds"].values)
_CHANNELS: Final = frozenset(VOCABULARY["channel.kind"].values)
_OURS: Final = frozenset(
    {name for name, fact in VOCABULARY.items() if fact.source in ("cart", "clock", "offer", "channel")}
)


class RequestError(BadInput):
    """A request that cannot be answered. `pointer` is the JSON pointer of the field at fault."""

    @property
    def pointer(self) -> str:
        """Where it stands, as a JSON pointer such as `/lines/0/quantity`."""
        return self.problem.place

    @property
    def value(self) -> str:
        """What was found there, shortened for showing."""
        return self.problem.value

    @property
    def expected(self) -> str:
        """What would have been right."""
        return self.problem.expected


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the order: `quantity` pieces at `unit_price_minor` each, sold by `seller`.

    `kind` is goods, blind_box, pledge or recurring. `currency` may be left out; where given it is the order's.
    """

    sku: str
    title: str
    category: str
    kind: str
    quantity: int
    unit_price_minor: int
    seller: str
    currency: str | None = None


class CheckoutRequest(msgspec.Struct, frozen=True):
    """A cart at an instant (`at`, epoch seconds), on a channel, with all facts gathered from elsewhere.

    The facts of the cart, the channel and the clock follow from the other fields, whatever `facts` says of them.
    `as_of` says of facts when they were found out (epoch seconds), where that was not just now: of those too old for the policy
    the decision knows nothing. `overrides` are the special cases granted to this customer.
    """

    lines: tuple[Line, ...]
    currency: str
    channel: str
    at: int
    facts: Mapping[str, FactValue] = {}
    last_used_family: str | None = None
    coupon: str | None = None
    ship_to: str | None = None
    overrides: tuple[Override, ...] = ()
    as_of: Mapping[str, int] = {}


def checked_amount(request: CheckoutRequest) -> int:
    """What the order comes to, in minor units, after checking everything that the sum rests on.

    Raises `RequestError` for an empty cart, a price or quantity that is negative, fractional or beyond sense, a
    line in another currency, and a total of nothing or above `fenqi.money.MAX_MINOR`.

    >>> line = Line("p1", "Phone", "phones", "goods", 2, 499_900, "mall")
    >>> checked_amount(CheckoutRequest((line,), "CNY", "web", 1795399200))
    999800
    """
    currency = request.currency
    if currency not in CURRENCIES:
        raise RequestError("/currency", currency, "one of " + ", ".join(CURRENCIES))
    if request.channel not in _CHANNELS:
        raise RequestError(
            "/channel", request.channel, "one of " + ", ".join(VOCABULARY["channel.kind"].values)
        )
    if type(request.at) is not int or not EARLIEST <= request.at < LATEST:
        raise RequestError("/at", request.at, "an instant of the years 2000 to 2199, in epoch seconds")
    for field, text in (
        ("last_used_family", request.last_used_family),
        ("coupon", request.coupon),
        ("ship_to", request.ship_to),
    ):
        if text is not None and not 0 < len(text) <= MAX_NAME:
            raise RequestError(f"/{field}", text, f"1 to {MAX_NAME} characters", "or leave it out")
    lines = request.lines
    if not 1 <= len(lines) <= MAX_LINES:
        found = f"{len(lines)} lines" if lines else "empty"
        raise RequestError("/lines", found, f"1 to {MAX_LINES} lines")
    amount = 0
    for number, line in enumerate(lines):
        quantity, price = line.quantity, line.unit_price_minor
        if type(quantity) is not int or not 0 < quantity <= MAX_QUANTITY:
            raise RequestError(
                f"/lines/{number}/quantity", quantity, f"a whole number from 1 to {MAX_QUANTITY}"
            )
        if type(price) is not int or not 0 <= price <= MAX_MINOR:
            raise RequestError(
                f"/lines/{number}/unit_price_minor",
                price,
                f"a whole number of minor units from 0 to {MAX_MINOR}",
                "write ¥12.34 as the integer 1234",
            )
        if line.currency is not None and line.currency != currency:
            raise RequestError(
                f"/lines/{number}/currency",
                line.currency,
                f"{currency}, as the order",
                "ask for each currency by itself; amounts are never converted",
            )
        if line.kind not in _KINDS:
            kinds = ", ".join(VOCABULARY["cart.kinds"].values)
            raise RequestError(f"/lines/{number}/kind", line.kind, f"one of {kinds}")
        if not (
            0 < len(line.sku) <= MAX_NAME
            and 0 < len(line.seller) <= MAX_NAME
            and 0 < len(line.category) <= MAX_NAME
            and len(line.title) <= MAX_TITLE
        ):
            raise _name_at_fault(number, line)
        amount += quantity * price
    if not 0 < amount <= MAX_MINOR:
        raise RequestError("/lines", f"{amount} minor units in all", f"a total from 1 to {MAX_MINOR}")
    return amount


def _name_at_fault(number: int, line: Line) -> RequestError:
    for field, value, longest in (
        ("sku", line.sku, MAX_NAME),
        ("seller", line.seller, MAX_NAME),
        ("category", line.category, MAX_NAME),
    ):
        if not 0 < len(value) <= longest:
            return RequestError(f"/lines/{number}/{field}", value, f"1 to {longest} characters")
    return RequestError(f"/lines/{number}/title", line.title, f"at most {MAX_TITLE} characters")


def cart_facts(request: CheckoutRequest, amount_minor: int) -> dict[str, FactValue]:
    """The facts that the request itself brings: of its cart and its channel.

    >>> line = Line("p1", "Phone", "phones", "goods", 1, 499_900, "mall")
    >>> facts = cart_facts(CheckoutRequest((line,), "CNY", "web", 1795399200), 499_900)
    >>> facts["cart.amount"], facts["cart.has_coupon"], sorted(facts["cart.kinds"])
    (499900, False, ['goods'])
    """
    lines = request.lines
    facts: dict[str, FactValue] = {
        "cart.amount": amount_minor,
        "cart.currency": request.currency,
        "cart.categories": frozenset([line.category for line in lines]),
        "cart.kinds": frozenset([line.kind for line in lines]),
        "cart.sellers": frozenset([line.seller for line in lines]),
        "cart.skus": frozenset([line.sku for line in lines]),
        "cart.has_coupon": request.coupon is not None,
        "cart.line_count": len(lines),
        "channel.kind": request.channel,
    }
    if request.ship_to is not None:
        facts["region.ship_to"] = request.ship_to
    if request.last_used_family is not None:
        facts["customer.last_used_family"] = request.last_used_family
    return facts


class Known(msgspec.Struct, frozen=True):
    """What a decision goes by: the facts, and the names of those that are left out because they are too old."""

    facts: dict[str, FactValue]
    stale: frozenset[str] = frozenset()


def known_facts(policy: Policy, request: CheckoutRequest, amount_minor: int) -> Known:
    """Everything that a policy lets count when the decision is made: what is too old is not known, and everybody's place
    in its rollouts is.
    """
    facts = facts_of(request, amount_minor, policy.zone)
    stale: frozenset[str] = frozenset()
    if policy.max_ages and request.as_of:
        stale = stale_facts(policy.max_ages, request.as_of, request.at)
        for name in stale:
            facts.pop(name, None)
    if policy.rollouts:
        facts |= places(policy.rollouts, facts)
    return Known(facts, stale)


def facts_of(request: CheckoutRequest, amount_minor: int, zone: str) -> dict[str, FactValue]:
    """Everything told when the decision is made: what was gathered, the cart, the channel and the clock.

    With `known_facts`, which leaves out what the policy finds too old, it is what a decision goes by.
    """
    return {**request.facts, **cart_facts(request, amount_minor), **clock_facts(request.at, zone)}


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request as JSON has it: the instant with its offset, sets as lists."""

    lines: tuple[Line, ...]
    currency: str
    channel: str
    at: datetime
    facts: dict[str, object] = {}
    last_used_family: str | None = None
    coupon: str | None = None
    ship_to: str | None = None
    as_of: dict[str, datetime] = {}


# Works the type out while the module is imported, once: see `fenqi.policy.snapshot`.
msgspec.json.Decoder(_Written)


def read_request(data: bytes | Mapping[str, object], policy: Policy) -> CheckoutRequest:
    """Read a request written as JSON (its bytes, or already decoded), with its facts checked by name and type.

    Raises `RequestError` for anything that does not fit, an instant without its offset included.
    """
    decoded = data
    try:
        if isinstance(data, bytes):
            decoded = msgspec.json.decode(data)
        written = msgspec.convert(decoded, _Written, strict=True)
    except msgspec.ValidationError as error:
        raise _refused(str(error), decoded) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError("", str(error), "a JSON document") from error
    if written.at.tzinfo is None:
        raise RequestError(
            "/at",
            written.at.isoformat(),
            "an instant with its offset from UTC",
            "write it like 2026-11-23T10:00:00+08:00",
        )
    if len(written.facts) > MAX_FACTS:
        raise RequestError("/facts", f"{len(written.facts)} facts", f"at most {MAX_FACTS}")
    facts = freeze_facts(written.facts)
    for name in facts:
        if name in _OURS and name in policy.vocabulary:
            raise RequestError(
                f"/facts/{_escaped(name)}",
                facts[name],
                "to be left out",
                "it follows from the request's other fields",
            )
    for problem in check_facts(policy.vocabulary, facts):
        raise RequestError(
            f"/facts/{_escaped(problem.place)}", problem.value, problem.expected, problem.way_out
        )
    at = to_epoch(written.at)
    request = CheckoutRequest(
        lines=written.lines,
        currency=written.currency,
        channel=written.channel,
        at=at,
        facts=facts,  # type: ignore[arg-type]  # check_facts has just made sure of the values' types
        last_used_family=written.last_used_family,
        coupon=written.coupon,
        ship_to=written.ship_to,
        as_of=checked_ages(written.as_of, facts, at),
    )
    checked_amount(request)
    return request


def checked_ages(as_of: Mapping[str, datetime], facts: Mapping[str, object], at: int) -> dict[str, int]:
    """When facts were found out, as epoch seconds. Raises `RequestError` for one that is not told, or not found yet."""
    found: dict[str, int] = {}
    for name, instant in as_of.items():
        pointer = f"/as_of/{_escaped(name)}"
        if name not in facts:
            raise RequestError(pointer, name, "a fact that is told under /facts")
        if instant.tzinfo is None:
            raise RequestError(pointer, instant.isoformat(), "an instant with its offset from UTC")
        if to_epoch(instant) > at:
            raise RequestError(pointer, instant.isoformat(), "an instant that is not after the request's own")
        found[name] = to_epoch(instant)
    return found


_PLACE: Final = re.compile(r"^(?P<expected>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?$", re.DOTALL)
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")


def _refused(message: str, decoded: object) -> RequestError:
    """msgspec says ``Expected `int`, got `str` - at `$.lines[0].quantity` ``: turn that into pointer and value."""
    found = _PLACE.match(message)
    assert found is not None, "the pattern matches every text"
    steps = [name or number for name, number in _STEP.findall(found["path"] or "")]
    expected = found["expected"].split(", got ")[0].replace("`", "")
    missing = re.fullmatch(r"Object missing required field (\w+)", expected)
    if missing:
        return RequestError(_pointer([*steps, missing[1]]), "missing", "a value")
    stranger = re.fullmatch(r"Object contains unknown field (.+)", expected)
    if stranger:
        return RequestError(_pointer([*steps, stranger[1]]), "given", "no such field")
    value = decoded
    for step in steps:
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, (list, tuple)) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            value = "unknown"
            break
    expected = expected.removeprefix("Expected ")
    if steps and steps[-1].endswith("_minor"):
        return RequestError(
            _pointer(steps), value, "a whole number of minor units", "write ¥12.34 as the integer 1234"
        )
    return RequestError(_pointer(steps), value, expected)


def _pointer(steps: list[str]) -> str:
    return "".join(f"/{_escaped(step)}" for step in steps)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


# Made with the module: see fenqi.policy.snapshot.
msgspec.json.Decoder(_Written)
