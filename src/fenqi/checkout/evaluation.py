"""The whole answer for one cart: every way to pay, in the order of the page.

Every plan is priced where its terms allow, the unavailable ones too, so that what is missing can be compared with
what is there. Then `fenqi.policy.verdict.decide` gives its verdict over the facts and the prices, and the page is
laid out: loans and payment tools as two groups, what is missing after what is there and folded away, except that
the customer's last-used way keeps its place while it is missing. Nothing is preselected: there is no field for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

import msgspec

from fenqi.calendars import CalendarError, at_local, local_date
from fenqi.checkout.alternatives import Alternative, Candidate, alternatives_to
from fenqi.checkout.request import CheckoutRequest, RequestError, checked_amount, known_facts
from fenqi.money import MoneyError
from fenqi.policy.compile import next_boundary, next_told, place
from fenqi.policy.facts import Facts, FactValue, clock_facts
from fenqi.policy.placement import Placed
from fenqi.policy.snapshot import LAYERS, ceiling_of
from fenqi.policy.snapshot import Group as GroupId
from fenqi.policy.verdict import Reason, Until, Verdict, decide, decide_deposits, in_the_way
from fenqi.terms.cost import Cost, cost_of
from fenqi.terms.disclosure import Disclosure, Manner, disclose
from fenqi.terms.lease import CampaignClosed
from fenqi.terms.plan import (
    Annuity,
    EqualPrincipal,
    FlatFee,
    FlatInterest,
    InterestOnly,
    LegalForm,
    PayInFull,
    Plan,
    TermsError,
    ZeroInterest,
)
from fenqi.terms.rent import LeaseFigures
from fenqi.terms.schedule import Schedule, build_schedule
from fenqi.texts import Text

if TYPE_CHECKING:
    from fenqi.policy.compile import Policy

__all__ = [
    "Evaluation",
    "Group",
    "Option",
    "disclosed",
    "evaluate",
    "is_dated",
    "is_waived",
    "offer_facts",
    "priced_facts",
    "verdicts_of",
]


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One plan applied to the cart: verdict, place on the page, price.

    `schedule` and `cost` are None only where the terms cannot be applied to the amount; `not_priced` says why.
    `instalment_minor` is the largest payment, of a lease the largest rent. `deposit_verdict` says whether a deposit that can be
    waived is, and if not, why. `disclosure` belongs to offers. `alternatives` are empty for an offer, and where there is nothing instead.
    """

    plan: str
    family: str
    funder: str
    legal_form: LegalForm
    group: GroupId
    rank: int
    collapsed: bool
    last_used: bool
    verdict: Verdict
    deposit_verdict: Verdict | None = None
    placement_reason: Text | None = None
    placement_since: int | None = None
    placement_notice: str | None = None
    schedule: Schedule | None = None
    cost: Cost | None = None
    disclosure: Disclosure | None = None
    instalment_minor: int | None = None
    alternatives: tuple[Alternative, ...] = ()
    not_priced: str | None = None

    @property
    def offered(self) -> bool:
        """Whether the customer can take it now."""
        return self.verdict.state in ("available", "funder_decides")

    @property
    def owns(self) -> bool:
        """Whether the goods are the customer's at its end, as far as its price tells."""
        return self.schedule is None or _owns(self.schedule)


def _owns(schedule: Schedule) -> bool:
    return schedule.lease is None or schedule.lease.owns


class Group(msgspec.Struct, frozen=True):
    """A headed group of the page: its families in the order in which they stand."""

    id: GroupId
    families: tuple[str, ...]


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, and the facts that it rests on (`decide(policy, facts)` replays it).

    `options` are in the order of the page. After `valid_until` (epoch seconds) time alone may change the answer: a
    rule's window, a place, or the shop's next day, from which due dates count.
    """

    policy_digest: str
    as_of: int
    valid_until: int
    amount_minor: int
    currency: str
    zone: str
    start_on: date
    options: tuple[Option, ...]
    groups: tuple[Group, ...]
    facts: Mapping[str, FactValue]

    @property
    def offers(self) -> tuple[Option, ...]:
        """What the customer can take now."""
        return tuple([option for option in self.options if option.offered])

    def option(self, plan: str) -> Option:
        """The option of a plan; `KeyError` where the policy has none of that id."""
        for option in self.options:
            if option.plan == plan:
                return option
        raise KeyError(plan)


def evaluate(policy: Policy, request: CheckoutRequest) -> Evaluation:
    """How this cart can be paid, under this policy, with what is known.

    Raises `RequestError` where the request itself is wrong. "Not available" is an answer, never an error.
    """
    amount = checked_amount(request)
    zone, currency = policy.zone, policy.currency
    if request.currency != currency:
        raise RequestError(
            "/currency", request.currency, f"{currency}, the shop's currency", "amounts are never converted"
        )
    known = known_facts(policy, request, amount)
    facts = known.facts
    at = request.at
    start_on, day_ends_at = _day(at // 60, zone)
    deposits = decide_deposits(policy, facts, overrides=request.overrides, stale=known.stale)
    prices, unpriced, offers = _priced(policy, amount, currency, start_on, deposits)
    verdicts = decide(policy, facts, offers, overrides=request.overrides, stale=known.stale)
    for plan_id, (_, reason) in unpriced.items():
        verdicts[plan_id] = _not_priced(verdicts[plan_id], reason)
    _price_openings(policy, verdicts, facts, offers, amount, start_on, deposits)
    layout = _layout(policy, at)
    last_used = request.last_used_family
    if last_used is None:
        family = facts.get("customer.last_used_family")
        last_used = family if isinstance(family, str) else None
    order = _page_order(layout, verdicts, last_used)

    candidates = [
        Candidate(
            plan.id,
            placed.group,
            plan.periods,
            prices[plan.id][0].total_minor,
            prices[plan.id][2],
            position,
            _owns(prices[plan.id][0]),
        )
        for position, (plan, placed) in enumerate(order)
        if plan.id in prices and verdicts[plan.id].state in _OFFERED
    ]
    options = []
    for plan, placed in order:
        plan_id = plan.id
        verdict = verdicts[plan_id]
        price = prices.get(plan_id)
        schedule, cost, instalment = price if price is not None else (None, None, None)
        disclosure = None
        alternatives: tuple[Alternative, ...] = ()
        collapsed = placed.collapsed
        is_last_used = plan.family == last_used
        if verdict.state in _OFFERED:
            if schedule is not None and cost is not None:
                disclosure = disclosed(policy, plan, schedule, cost, at)
        else:
            instead = [other for reason in verdict.reasons for other in reason.instead]
            total = None if schedule is None else schedule.total_minor
            alternatives = alternatives_to(
                placed.group,
                plan.periods,
                total,
                instead,
                candidates,
                owns=schedule is None or _owns(schedule),
            )
            collapsed = collapsed or (not is_last_used and verdict.state != "pending")
        options.append(
            Option(
                plan=plan_id,
                family=plan.family,
                funder=plan.funder,
                legal_form=plan.legal_form,
                group=placed.group,
                rank=placed.rank,
                collapsed=collapsed,
                last_used=is_last_used,
                verdict=verdict,
                deposit_verdict=deposits.get(plan_id),
                placement_reason=placed.reason,
                placement_since=placed.since,
                placement_notice=placed.notice,
                schedule=schedule,
                cost=cost,
                disclosure=disclosure,
                instalment_minor=instalment,
                alternatives=alternatives,
                not_priced=unpriced[plan_id][0] if plan_id in unpriced else None,
            )
        )
    boundaries = [_boundary(policy, at), next_told(policy, facts, at)]
    if policy.waivers is not None:
        boundaries += [_boundary(policy.waivers, at), next_told(policy.waivers, facts, at)]
    boundaries += [override.until for override in request.overrides if override.until > at]
    # What may be 60 seconds old is too old in the 61st.
    boundaries += [
        told + policy.max_ages[name] + 1
        for name, told in request.as_of.items()
        if name in policy.max_ages and name not in known.stale
    ]
    return Evaluation(
        policy_digest=policy.digest,
        as_of=at,
        valid_until=min([day_ends_at, *[boundary for boundary in boundaries if boundary is not None]]),
        amount_minor=amount,
        currency=currency,
        zone=zone,
        start_on=start_on,
        options=tuple(options),
        groups=_groups(order),
        facts=facts,
    )


_OFFERED: Final = frozenset({"available", "funder_decides"})


def priced_facts(schedule: Schedule, cost: Cost, periods: int) -> dict[str, FactValue]:
    """The facts of a priced offer, for the rules of the second pass. An undefined cost is unknown, never 0.

    >>> from fenqi.terms.plan import PayInFull
    >>> plan = Plan("card", "card", "bank", "full_payment", 1, PayInFull())
    >>> bill = build_schedule(plan, 600_000, "CNY", date(2026, 11, 23))
    >>> priced_facts(bill, cost_of(bill, plan), 1)["offer.annual_cost"]
    0
    """
    if schedule.lease is not None:
        return _lease_facts(schedule, schedule.lease, cost, periods)
    totals = [row.principal_minor + row.fee_minor for row in schedule.rows if row.number]
    facts: dict[str, FactValue] = {
        "offer.financed": schedule.financed_minor,
        "offer.instalment_min": min(totals),
        "offer.instalment_max": max(totals),
        "offer.fee": schedule.fee_minor,
        "offer.total": schedule.total_minor,
        "offer.periods": periods,
    }
    start = schedule.rows[0]
    if start.number == 0:
        facts["offer.paid_at_start"] = start.total_minor
        facts["offer.fee_at_start"] = start.fee_minor
    else:
        facts["offer.paid_at_start"] = facts["offer.fee_at_start"] = 0
    if cost.simple_e12 is not None:
        facts["offer.annual_cost"] = cost.simple_e12
    if cost.compounded_e12 is not None:
        facts["offer.annual_cost_compounded"] = cost.compounded_e12
    return facts


def _lease_facts(schedule: Schedule, lease: LeaseFigures, cost: Cost, periods: int) -> dict[str, FactValue]:
    """Of a lease: its instalments are its rents with their fees; what is financed is 0 where nothing is owned at its end."""
    rents = [row.rent_minor + row.fee_minor for row in schedule.rows if row.kind == "rent"]
    first_on = schedule.start_on or schedule.rows[0].due_on
    terms = lease.terms
    facts: dict[str, FactValue] = {
        "offer.financed": schedule.financed_minor,
        "offer.instalment_min": min(rents),
        "offer.instalment_max": max(rents),
        "offer.fee": schedule.fee_minor,
        "offer.total": schedule.total_minor,
        "offer.periods": periods,
        "offer.paid_at_start": sum(row.total_minor for row in schedule.rows if row.due_on == first_on),
        "offer.fee_at_start": sum(row.fee_minor for row in schedule.rows if row.due_on == first_on),
        "offer.owns": lease.owns,
        "offer.rent_total": lease.rent_total_minor,
        "offer.buyout": lease.buyout_minor,
        "offer.buyout_ratio": -(lease.buyout_minor * -(10**12) // schedule.amount_minor),
        "offer.own_ratio": lease.own_ratio_e12,
        "offer.yearly_ratio": lease.yearly_ratio_e12,
        "offer.deposit": lease.deposit_minor,
        "offer.goods_used": terms.goods == "used",
        "offer.renews_silently": terms.renewal is not None and terms.renewal.consent == "silent",
        "offer.overdue_sale": terms.overdue == "becomes_sale",
    }
    if terms.deposit is not None:
        facts["offer.deposit_days"] = terms.deposit.inspection_days + terms.deposit.release_days
    if cost.simple_e12 is not None:
        facts["offer.annual_cost"] = cost.simple_e12
    if cost.compounded_e12 is not None:
        facts["offer.annual_cost_compounded"] = cost.compounded_e12
    return facts


def disclosed(policy: Policy, plan: Plan, schedule: Schedule, cost: Cost, at: int) -> Disclosure:
    """The table of all costs of a priced plan, as the policy's shop discloses it at an instant (epoch seconds)."""
    known = _NAMES.get(policy)
    if known is None:
        shop = policy.shop
        known = _NAMES[policy] = (
            {funder.id: funder.name for funder in policy.funders.values()},
            Manner(shop.reading_seconds, shop.shown_cost),
        )
    names, manner = known
    ceiling = ceiling_of(policy.funders[plan.funder], at)
    if ceiling is not None:
        manner = Manner(manner.reading_seconds, manner.shown, ceiling)
    return disclose(plan, schedule, cost, names[plan.funder], names=names, manner=manner)


def offer_facts(policy: Policy, plan: Plan, amount_minor: int, at: int) -> Facts | None:
    """The priced facts of a plan's offer for an amount at an instant; None where its terms do not fit the amount."""
    try:
        start_on = local_date(at, policy.zone)
        schedule = build_schedule(plan, amount_minor, policy.currency, start_on, policy.calendars)
    except (TermsError, MoneyError, CalendarError):
        return None
    return priced_facts(schedule, cost_of(schedule, plan), plan.periods)


_BY_PERIOD: Final = (ZeroInterest, FlatFee, Annuity, EqualPrincipal, InterestOnly, FlatInterest, PayInFull)


def is_dated(plan: Plan) -> bool:
    """Whether the day of the purchase may change what a plan costs; only what surely does not is told apart.

    >>> is_dated(Plan("card", "card", "bank", "full_payment", 1, PayInFull()))
    False
    """
    rules = plan.conventions
    by_period = isinstance(plan.pricing, _BY_PERIOD)
    return not (
        by_period
        and rules.day_count == "period"
        and plan.due_day is None
        and plan.calendar is None
        and not plan.min_first_days
    )


def _price_openings(
    policy: Policy,
    verdicts: dict[str, Verdict],
    facts: Facts,
    offers: Mapping[str, Facts],
    amount: int,
    start_on: date,
    deposits: Mapping[str, Verdict],
) -> None:
    """Ask of each plan that is to open on another day whether its price of that day lets it."""
    for plan in policy.plans:
        verdict = verdicts[plan.id]
        if verdict.until.at is None or verdict.state in _OFFERED:
            continue
        waived = is_waived(deposits.get(plan.id))
        until = _opens_priced(
            policy, plan, verdict.until, facts, offers.get(plan.id), amount, start_on, waived
        )
        if until is not verdict.until:
            verdicts[plan.id] = msgspec.structs.replace(verdict, until=until)


def _opens_priced(
    policy: Policy,
    plan: Plan,
    until: Until,
    facts: Facts,
    offer: Facts | None,
    amount: int,
    start_on: date,
    deposit_waived: bool,
) -> Until:
    """The instant at which a plan opens, unless it costs otherwise on that day and a rule over prices then stands in its way.

    That a price of another day would do later is not looked for: then nobody knows when.
    """
    if until.at is None or not is_dated(plan):
        return until
    opens_on = local_date(until.at, policy.zone)
    if opens_on == start_on:
        return until
    try:
        schedule = build_schedule(
            plan, amount, policy.currency, opens_on, policy.calendars, deposit_waived=deposit_waived
        )
    except (TermsError, MoneyError, CalendarError):
        return _UNKNOWN
    if offer is None:
        return until
    then = {**facts, **clock_facts(until.at, policy.zone)}
    # What stands in the way at today's price too has been counted, and ends by then.
    before = {rule.id for rule in in_the_way(policy, then, plan.id, offer)}
    new_offer = priced_facts(schedule, cost_of(schedule, plan), plan.periods)
    after = {rule.id for rule in in_the_way(policy, then, plan.id, new_offer)}
    return until if after <= before else _UNKNOWN


def is_waived(verdict: Verdict | None) -> bool:
    """Whether a deposit need not be left, by the verdict on it (None: there is none to be waived)."""
    return verdict is not None and verdict.state == "available"


def verdicts_of(policy: Policy, facts: Facts) -> dict[str, Verdict]:
    """Every plan's verdict from facts at hand, as `evaluate` finds it: priced, where the order's amount is among them.

    `facts` needs `clock.now`.
    """
    amount, now = facts.get("cart.amount"), facts.get("clock.now")
    if type(amount) is not int or type(now) is not int:
        return decide(policy, facts)
    deposits = decide_deposits(policy, facts)
    start_on = local_date(now, policy.zone)
    _, unpriced, offers = _priced(policy, amount, policy.currency, start_on, deposits)
    verdicts = decide(policy, facts, offers)
    for plan_id, (_, reason) in unpriced.items():
        verdicts[plan_id] = _not_priced(verdicts[plan_id], reason)
    _price_openings(policy, verdicts, facts, offers, amount, start_on, deposits)
    return verdicts


def _priced(
    policy: Policy, amount: int, currency: str, start_on: date, deposits: Mapping[str, Verdict]
) -> tuple[dict[str, tuple[Schedule, Cost, int]], dict[str, tuple[str, Reason]], dict[str, Facts]]:
    """Every plan's schedule, cost and largest payment; why there is none; and the facts of the offers."""
    prices: dict[str, tuple[Schedule, Cost, int]] = {}
    unpriced: dict[str, tuple[str, Reason]] = {}
    offers: dict[str, Facts] = {}
    calendars = policy.calendars
    for plan in policy.plans:
        try:
            waived = plan.id in deposits and is_waived(deposits[plan.id])
            schedule = build_schedule(plan, amount, currency, start_on, calendars, deposit_waived=waived)
        except CampaignClosed as error:
            unpriced[plan.id] = (str(error), _CLOSED)
            continue
        except (TermsError, MoneyError) as error:
            unpriced[plan.id] = (str(error), _TOO_LITTLE)
            continue
        except CalendarError as error:
            unpriced[plan.id] = (str(error), _TOO_LATE)
            continue
        cost = cost_of(schedule, plan)
        facts = priced_facts(schedule, cost, plan.periods)
        offers[plan.id] = facts
        prices[plan.id] = (schedule, cost, facts["offer.instalment_max"])  # type: ignore[assignment]
    return prices, unpriced, offers


def _not_priced(verdict: Verdict, why: Reason) -> Verdict:
    """What cannot be priced cannot be offered, whether or not a rule of the policy says so, and at no time."""
    reasons = verdict.reasons
    if not any(reason.code == why.code for reason in reasons):
        reasons = tuple(sorted((*reasons, why), key=lambda reason: LAYERS.index(reason.layer)))
    return msgspec.structs.replace(
        verdict, state="unavailable", reasons=reasons, until=why.until, deadline=None
    )


_UNKNOWN: Final = Until("unknown")
_TOO_LITTLE: Final = Reason(code="AMOUNT_LOW", layer="cart", rule="", until=Until("none"), change="cart")
_CLOSED: Final = Reason(code="PLEDGE_CLOSED", layer="cart", rule="", until=Until("none"), change="nobody")
# Its last due date lies in a year whose holidays nobody knows yet; a shorter term may not.
_TOO_LATE: Final = Reason(
    code="TERM_UNAVAILABLE", layer="maintenance", rule="", until=Until("unknown"), change="shop"
)


@lru_cache(maxsize=1024)
def _day(minute: int, zone: str) -> tuple[date, int]:
    """The shop's date at a minute since 1970, and the instant at which it ends."""
    on = local_date(minute * 60, zone)
    return on, at_local(on + timedelta(days=1), 0, zone)


class _Unit(msgspec.Struct, frozen=True):
    """A family on the page, with its plans in order."""

    family: str
    plans: tuple[tuple[Plan, Placed], ...]


class _Layout(msgspec.Struct, frozen=True):
    """A policy's page, for the time between two changes of place: its groups' families in order of rank."""

    segment: Mapping[str, Placed]
    groups: tuple[tuple[_Unit, ...], ...]


# What only depends on the policy is worked out once for each: its parties' names, its page, and its next boundary for a stretch of time.
_LAYOUTS: Final[WeakKeyDictionary[Policy, _Layout]] = WeakKeyDictionary()
_NAMES: Final[WeakKeyDictionary[Policy, tuple[Mapping[str, Text], Manner]]] = WeakKeyDictionary()
_BOUNDARIES: Final[WeakKeyDictionary[Policy, tuple[int, int | None]]] = WeakKeyDictionary()


def _layout(policy: Policy, at: int) -> _Layout:
    segment = place(policy, at)
    known = _LAYOUTS.get(policy)
    if known is not None and known.segment is segment:
        return known
    by_unit: dict[tuple[GroupId, str], list[tuple[Plan, Placed]]] = {}
    for plan in policy.plans:
        placed = segment[plan.id]
        by_unit.setdefault((placed.group, plan.family), []).append((plan, placed))
    by_group: dict[GroupId, list[tuple[int, int, _Unit]]] = {}
    for number, ((group, family), members) in enumerate(by_unit.items()):
        members.sort(key=lambda member: (member[1].rank, member[0].periods))
        unit = _Unit(family, tuple(members))
        by_group.setdefault(group, []).append((members[0][1].rank, number, unit))
    ordered = sorted((sorted(units) for units in by_group.values()), key=lambda units: units[0][:2])
    layout = _Layout(
        segment,
        tuple([tuple([unit for _, _, unit in units]) for units in ordered]),
    )
    _LAYOUTS[policy] = layout
    return layout


def _boundary(policy: Policy, at: int) -> int | None:
    known = _BOUNDARIES.get(policy)
    if known is not None and known[0] <= at and (known[1] is None or at < known[1]):
        return known[1]
    boundary = next_boundary(policy, at)
    _BOUNDARIES[policy] = (at, boundary)
    return boundary


def _page_order(
    layout: _Layout, verdicts: Mapping[str, Verdict], last_used: str | None
) -> list[tuple[Plan, Placed]]:
    """What is there first, then what is missing; the last-used family stays where it was, whole."""
    order: list[tuple[Plan, Placed]] = []
    for units in layout.groups:
        missing: list[tuple[Plan, Placed]] = []
        for unit in units:
            if unit.family == last_used:
                order += unit.plans
                continue
            gone = [member for member in unit.plans if verdicts[member[0].id].state == "unavailable"]
            if not gone:
                order += unit.plans
            elif len(gone) == len(unit.plans):
                missing += gone
            else:
                order += [member for member in unit.plans if verdicts[member[0].id].state != "unavailable"]
                order += gone
        order += missing
    return order


def _groups(order: Sequence[tuple[Plan, Placed]]) -> tuple[Group, ...]:
    families: dict[GroupId, dict[str, None]] = {}
    for plan, placed in order:
        families.setdefault(placed.group, {})[plan.family] = None
    return tuple([Group(group, tuple(names)) for group, names in families.items()])
