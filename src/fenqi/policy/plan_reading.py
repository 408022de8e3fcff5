"""How a policy's plans are read: what is paid when, how it is priced, who bears it; and the calendars that they name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Final, get_args

from msgspec.structs import replace
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from fenqi.business_days import SHIPPED, days_of
from fenqi.calendars import BusinessCalendar, Holiday, Unit, check_calendar
from fenqi.money import Residue
from fenqi.policy.lease_reading import LEASE_KEYS, PLEDGE_KEYS, LeaseReading
from fenqi.policy.reading import NO_TEXT, Fields
from fenqi.policy.snapshot import Family
from fenqi.terms.agreed import (
    AccelerationTerms,
    LateTerms,
    PayoffTerms,
    ReturnTerms,
    ServicingTerms,
)
from fenqi.terms.plan import (
    PROFILES,
    Annuity,
    Authority,
    Balloon,
    Bearer,
    ContingentCost,
    Conventions,
    DayCount,
    DownPayment,
    EqualPrincipal,
    Fee,
    FeeTiming,
    FlatFee,
    FlatInterest,
    InterestOnly,
    Party,
    PayInFull,
    Plan,
    Pricing,
    ZeroInterest,
    check_own_book,
    check_plan,
)

__all__ = ["PlanReading"]

_REQUIRED: Final = ("id", "family", "periods", "pricing")
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "unit": (*get_args(Unit), "year"),
    "authority": get_args(Authority),
    "residue": get_args(Residue),
    "deferral_interest": ("none", "capitalised", "first_bill"),
    "odd_first": ("whole", "by_days"),
    "holiday": get_args(Holiday),
}
_NUMBERS: Final = (
    "periods",
    "every",
    "defer_periods",
    "due_day",
    "min_first_days",
    "grace_principal",
    "grace_interest",
    "interest_free_periods",
)
_NAMES: Final = ("fee_code", "fee_payee")
_CONVENTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "day_count": get_args(DayCount),
    "year_split": ("dec31", "jan1"),
    "leap_rule": ("actual", "feb29_period"),
    "rounding": ("half_even", "half_up", "up"),
    "flat_interest_on": ("financed", "price"),
    "flat_interest_split": ("by_period", "even"),
}
_OPTIONAL: Final = (
    *_WORDS,
    *_NUMBERS[1:],
    *_NAMES,
    "down_payment",
    "calendar",
    "bearers",
    "fees",
    "contingent",
    "indicative_basis",
    "servicing",
    "rollout",
    "profile",
    *_CONVENTIONS,
    "digits",
    "instalment_multiple",
    "smoothing",
)
# What each kind of pricing needs, and what it may have beside that.
_PRICINGS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "zero_interest": (("borne_by",), ()),
    "flat_fee": ((), ("rate_per_period", "total_rate", "minimum", "timing")),
    "annuity": (("annual_rate",), ("balloon",)),
    "equal_principal": (("annual_rate",), ("balloon",)),
    "interest_only": (("annual_rate",), ()),
    "flat_interest": (("annual_rate",), ()),
    "pay_in_full": ((), ()),
    "lease": LEASE_KEYS,
    "pledge": PLEDGE_KEYS,
}
_WRITE: Final = {
    "borne_by": "shop or funder",
    "annual_rate": "15%",
    "rent": "¥499.00, or 7.5% of the price",
    "paid": "in_advance or in_arrears",
    "goods": "new or used",
    "success_on": "2027-01-31",
}
# Where a checked plan's field is written under another key.
_KEYS: Final = {
    "amount_minor": "amount",
    "minimum_minor": "minimum",
    "instalment_multiple_minor": "instalment_multiple",
    "return_shipping_minor": "return_shipping",
}


class PlanReading(LeaseReading):
    """The part of a policy's reader that reads plans and calendars. `own_books` are the funders whose contracts are ours."""

    own_books: frozenset[str] = frozenset()

    def plan(self, node: Node, families: Mapping[str, Family]) -> Plan:
        before = len(self.problems)
        fields = self.fields(node, "a plan", _REQUIRED, _OPTIONAL)
        family_id = self.reference(fields["family"], "families", "family") if "family" in fields else ""
        family = families.get(family_id)
        plan = Plan(
            id=self.optional(fields, "id", self.scalar, ""),
            family=family_id,
            funder=family.funder if family else "",
            legal_form=family.legal_form if family else "loan",
            periods=self.optional(fields, "periods", self.integer, 1),
            pricing=self.pricing(fields["pricing"]) if "pricing" in fields else PayInFull(),
            conventions=self.conventions(fields),
        )
        given: dict[str, object] = {}
        for key, words in _WORDS.items():
            if key in fields:
                given[key] = self.one_of(fields[key], words, key)
        for key in _NUMBERS[1:]:
            if key in fields:
                given[key] = self.integer(fields[key], key)
        for key in _NAMES:
            if key in fields:
                given[key] = self.scalar(fields[key], key)
        if "down_payment" in fields:
            given["down_payment"] = self.down_payment(fields["down_payment"])
        if "calendar" in fields:
            given["calendar"] = self.calendar_name(fields["calendar"])
        if "bearers" in fields:
            given["bearers"] = self.bearers(fields["bearers"])
        if "fees" in fields:
            given["fees"] = tuple(self.fee(item) for item in self.items(fields["fees"], "fees"))
        if "contingent" in fields:
            costs = self.items(fields["contingent"], "contingent")
            given["contingent"] = tuple(self.contingent(item) for item in costs)
        if "indicative_basis" in fields:
            given["indicative_basis"] = self.text(fields["indicative_basis"], "indicative_basis")
        if "servicing" in fields:
            given["servicing"] = self.servicing(fields["servicing"])
        if given.get("unit") == "year":
            # A year is twelve months: the same days fall due.
            given["unit"], given["every"] = "month", 12 * int(str(given.get("every", 1)))
        plan = replace(plan, **given)
        if before == len(self.problems):
            problems = check_plan(plan)
            if not problems and plan.funder in self.own_books:
                problems = check_own_book(plan)
            elif "servicing" in fields and plan.funder not in self.own_books:
                self.problem(
                    fields["servicing"],
                    f"servicing is said of {plan.funder}, who keeps its contracts itself",
                    "leave it out, or say own_book: yes of the funder",
                )
            for wrong in problems:
                self.problem(_written_at(node, wrong.place), wrong.sentence)
        return plan

    def pricing(self, node: Node) -> Pricing:
        every = dict.fromkeys(key for needed, may in _PRICINGS.values() for key in (*needed, *may))
        fields = self.fields(node, "pricing", ("kind",), every)
        if "kind" not in fields:
            return PayInFull()
        kind = self.one_of(fields["kind"], _PRICINGS, "pricing.kind")
        needed, may = _PRICINGS[kind]
        for key, value in fields.items():
            if key != "kind" and key not in (*needed, *may):
                self.problem(value, f"{key} has no meaning in {kind} pricing")
        for key in needed:
            if key not in fields:
                self.problem(node, f"pricing has no {key}", f"write {key}: {_WRITE[key]}")
        if kind == "zero_interest":
            return ZeroInterest(
                self.one_of(fields["borne_by"], ("shop", "funder"), "borne_by")
                if "borne_by" in fields
                else "shop"
            )
        if kind == "flat_fee":
            return FlatFee(
                self.rate(fields, "rate_per_period"),
                self.rate(fields, "total_rate"),
                self.optional(fields, "minimum", self.money, 0),
                self.timing(fields),
            )
        if kind == "lease":
            return self.lease(node, fields)
        if kind == "pledge" and "success_on" in fields:
            return self.pledge(fields)
        if kind in ("pay_in_full", "pledge"):
            return PayInFull()
        rate = self.optional(fields, "annual_rate", self.ratio, Decimal(0))
        if kind == "interest_only":
            return InterestOnly(rate)
        if kind == "flat_interest":
            return FlatInterest(rate)
        balloon = None
        if "balloon" in fields:
            share, amount = self.share_or_amount(fields["balloon"], "balloon")
            balloon = Balloon(share, amount)
        return Annuity(rate, balloon) if kind == "annuity" else EqualPrincipal(rate, balloon)

    def rate(self, fields: Fields, key: str) -> Decimal | None:
        return self.ratio(fields[key], key) if key in fields else None

    def timing(self, fields: Fields) -> FeeTiming:
        found: FeeTiming = "per_period"
        if "timing" in fields:
            found = self.literal(fields["timing"], FeeTiming, "timing")
        return found

    def share_or_amount(self, node: Node, what: str) -> tuple[Decimal | None, int | None]:
        fields = self.fields(node, what, (), ("share", "amount"))
        return (
            self.ratio(fields["share"], "share") if "share" in fields else None,
            self.money(fields["amount"], "amount") if "amount" in fields else None,
        )

    def down_payment(self, node: Node) -> DownPayment:
        return DownPayment(*self.share_or_amount(node, "down_payment"))

    def conventions(self, fields: Fields) -> Conventions:
        """The plan's profile, with what the plan says otherwise."""
        profile = "fenqi"
        if "profile" in fields:
            profile = self.one_of(fields["profile"], PROFILES, "profile")
        given: dict[str, object] = {
            key: self.one_of(fields[key], words, key) for key, words in _CONVENTIONS.items() if key in fields
        }
        if "digits" in fields:
            given["digits"] = self.integer(fields["digits"], "digits")
        if "instalment_multiple" in fields:
            given["instalment_multiple_minor"] = self.money(
                fields["instalment_multiple"], "instalment_multiple"
            )
        if "smoothing" in fields:
            given["smoothing"] = self.boolean(fields["smoothing"], "smoothing")
        return replace(PROFILES[profile], **given)

    def bearers(self, node: Node) -> tuple[Bearer, ...]:
        fields = self.fields(node, "bearers", (), get_args(Party))
        if isinstance(node, MappingNode) and not node.value:
            self.problem(node, "bearers names nobody", "write {customer: 50%, shop: 50%}")
        found: list[Bearer] = []
        for party in get_args(Party):
            if party in fields:
                found.append(Bearer(party, self.ratio(fields[party], f"bearers.{party}")))
        return tuple(found)

    def fee(self, node: Node) -> Fee:
        fields = self.fields(
            node,
            "a fee",
            ("code", "name", "payee"),
            ("payee_name", "rate_per_period", "total_rate", "amount", "minimum", "timing"),
        )
        return Fee(
            code=self.optional(fields, "code", self.scalar, ""),
            name=self.optional(fields, "name", self.text, NO_TEXT),
            payee=self.optional(fields, "payee", self.scalar, ""),
            payee_name=self.text(fields["payee_name"], "payee_name") if "payee_name" in fields else None,
            rate_per_period=self.rate(fields, "rate_per_period"),
            total_rate=self.rate(fields, "total_rate"),
            amount_minor=self.money(fields["amount"], "amount") if "amount" in fields else None,
            minimum_minor=self.optional(fields, "minimum", self.money, 0),
            timing=self.timing(fields),
        )

    def contingent(self, node: Node) -> ContingentCost:
        fields = self.fields(node, "a contingent cost", ("code", "name", "basis", "payee"))
        return ContingentCost(
            self.optional(fields, "code", self.scalar, ""),
            self.optional(fields, "name", self.text, NO_TEXT),
            self.optional(fields, "basis", self.text, NO_TEXT),
            self.optional(fields, "payee", self.scalar, ""),
        )

    # --- a contract's later life -----------------------------------------------------------------------------

    def servicing(self, node: Node) -> ServicingTerms:
        """What is agreed for paying off, paying late, giving goods back and falling due at once."""
        fields = self.fields(node, "servicing", (), ("payoff", "late", "returns", "acceleration"))
        return ServicingTerms(
            payoff=self.payoff(fields["payoff"]) if "payoff" in fields else PayoffTerms(),
            late=self.late(fields["late"]) if "late" in fields else None,
            returns=self.returns(fields["returns"]) if "returns" in fields else ReturnTerms(),
            acceleration=self.acceleration(fields["acceleration"])
            if "acceleration" in fields
            else AccelerationTerms(),
        )

    def payoff(self, node: Node) -> PayoffTerms:
        fields = self.fields(node, "payoff", (), ("fees", "charge_rate", "charge_code"))
        return PayoffTerms(
            self.one_of(fields["fees"], ("whole", "to_period_end", "to_date"), "payoff.fees")
            if "fees" in fields
            else "whole",
            self.optional(fields, "charge_rate", self.ratio, Decimal(0)),
            self.optional(fields, "charge_code", self.scalar, ""),
        )

    def late(self, node: Node) -> LateTerms:
        needed = ("annual_rate", "code")
        fields = self.fields(node, "late", needed, ("cap_rate", "cap_basis", "year_days", "grace_days"))
        if "cap_rate" in fields and "cap_basis" not in fields:
            self.problem(
                node, "late has a cap_rate and no cap_basis", "write cap_basis: what law or notice says so"
            )
        return LateTerms(
            annual_rate=self.optional(fields, "annual_rate", self.ratio, Decimal(0)),
            code=self.optional(fields, "code", self.scalar, ""),
            cap_rate=self.rate(fields, "cap_rate"),
            cap_basis=self.optional(fields, "cap_basis", self.scalar, ""),
            year_days=int(self.one_of(fields["year_days"], ("360", "365"), "late.year_days"))  # type: ignore[arg-type]
            if "year_days" in fields
            else 360,
            grace_days=self.optional(fields, "grace_days", self.integer, 0),
        )

    def returns(self, node: Node) -> ReturnTerms:
        fields = self.fields(node, "returns", (), ("settles", "paid_fee"))
        words = ("from_last", "from_next", "proportional")
        return ReturnTerms(
            self.one_of(fields["settles"], words, "returns.settles") if "settles" in fields else "from_last",
            self.one_of(fields["paid_fee"], ("kept", "returned"), "returns.paid_fee")
            if "paid_fee" in fields
            else "kept",
        )

    def acceleration(self, node: Node) -> AccelerationTerms:
        fields = self.fields(node, "acceleration", (), ("part_of_price", "days_after_demand", "basis"))
        usual = AccelerationTerms()
        return AccelerationTerms(
            self.optional(fields, "part_of_price", self.integer, usual.part_of_price),
            self.optional(fields, "days_after_demand", self.integer, usual.days_after_demand),
            self.optional(fields, "basis", self.scalar, usual.basis),
        )

    # --- calendars -----------------------------------------------------------------------------------------

    def calendar_name(self, node: Node) -> str:
        name = self.scalar(node, "calendar")
        known = {*SHIPPED, *self.ids.get("calendars", ())}
        if name and name not in known:
            self.problem(
                node,
                f"calendar is {name}: there is no such calendar",
                self.meant(name, known) or f"calendars are {', '.join(sorted(known))}",
            )
        return name

    def used(
        self, calendars: tuple[BusinessCalendar, ...], plans: tuple[Plan, ...]
    ) -> tuple[BusinessCalendar, ...]:
        """The policy's calendars and the shipped ones that its plans name: by value, whatever a later version ships."""
        own = {calendar.id for calendar in calendars}
        shipped = dict.fromkeys(plan.calendar for plan in plans if plan.calendar in SHIPPED)
        return calendars + tuple(SHIPPED[name] for name in shipped if name is not None and name not in own)

    def calendar(self, node: Node) -> BusinessCalendar:
        before = len(self.problems)
        fields = self.fields(
            node,
            "a calendar",
            ("id", "version", "from", "confirmed_through"),
            ("extends", "holidays", "workdays", "weekend"),
        )
        first = self.optional(fields, "from", self.day, date.min)
        calendar = BusinessCalendar(
            id=self.optional(fields, "id", self.scalar, ""),
            version=self.optional(fields, "version", self.scalar, ""),
            known_from=first,
            confirmed_through=self.optional(fields, "confirmed_through", self.day, date.max),
            holidays=self.optional(fields, "holidays", self.day_list, frozenset()),
            workdays=self.optional(fields, "workdays", self.day_list, frozenset()),
            weekend=tuple(self.integer(item, "weekend") for item in self.items(fields["weekend"], "weekend"))
            if "weekend" in fields
            else (6, 7),
        )
        if before != len(self.problems):
            return calendar
        for wrong in check_calendar(calendar):
            place = "from" if wrong.place == "known_from" else wrong.place
            self.problem(fields.get(place, node), wrong.sentence)
        if "extends" not in fields:
            return calendar
        name = self.one_of(fields["extends"], SHIPPED, "extends")
        earlier = SHIPPED[name]
        if not earlier.known_from <= first <= date.fromordinal(earlier.confirmed_through.toordinal() + 1):
            self.problem(
                fields["from"],
                f"from is {first.isoformat()}: {earlier.name} is known to {earlier.confirmed_through.isoformat()}, so "
                "that days would be missing between the two",
                f"begin at {date.fromordinal(earlier.confirmed_through.toordinal() + 1).isoformat()} or before",
            )
        return replace(
            calendar,
            known_from=earlier.known_from,
            holidays=calendar.holidays | {on for on in earlier.holidays if on < first},
            workdays=calendar.workdays | {on for on in earlier.workdays if on < first},
        )

    def day_list(self, node: Node, what: str) -> frozenset[date]:
        """Days, and stretches of days written `2027-02-05..2027-02-11`."""
        found: list[date] = []
        for item in self.items(node, what):
            value = self.scalar(item, what)
            parts = re.fullmatch(r"(\d{4}-\d\d-\d\d)(?:\.\.(\d{4}-\d\d-\d\d))?", value)
            try:
                if parts is None:
                    raise ValueError
                first = date.fromisoformat(parts[1])
                last = date.fromisoformat(parts[2] or parts[1])
            except ValueError:
                if value:
                    self.problem(
                        item, f"{what} has {value}: not a date", "write 2027-01-01 or 2027-02-05..2027-02-11"
                    )
                continue
            if not 0 <= (last - first).days <= 366:
                self.problem(item, f"{what} has {value}: not a stretch of days within a year")
                continue
            found += days_of(first, last)
        return frozenset(found)


def _written_at(node: Node, place: str) -> Node:
    """Where in a plan a field of it is written, as closely as it is there at all."""
    at = node
    for step in re.findall(r"[a-z_]+|\d+", place.removeprefix("conventions.")):
        found: Node | None = None
        if isinstance(at, SequenceNode) and step.isdigit() and int(step) < len(at.value):
            found = at.value[int(step)]
        elif isinstance(at, MappingNode):
            key = _KEYS.get(step, step)
            found = next((value for name, value in at.value if name.value == key), None)
        if found is None:
            break
        at = found
    return at
