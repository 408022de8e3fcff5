"""How leases and pledges are read from a policy: rent, deposit, buyout, renewal; the day of success.

An amount or a share of the price is written as what it is, `¥499.00` or `7.5%`. What no lease of ours may say, a silent
renewal or arrears that turn into a sale, is read too, to be refused by its name and place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final, get_args

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from fenqi.policy.reading import Fields, Reader
from fenqi.policy.snapshot import Funder, Rule, selects
from fenqi.terms.plan import Plan
from fenqi.terms.rent import (
    Buyout,
    Deposit,
    DepositEnd,
    EarlyBuyout,
    EarlyFormula,
    Lease,
    Pledge,
    Renewal,
    Rent,
    traps_of,
)

__all__ = ["LEASE_KEYS", "PLEDGE_KEYS", "LeaseReading"]

LEASE_KEYS: Final = (
    ("rent", "paid", "goods"),
    ("statement", "minimum_periods", "deposit", "buyout", "renewal", "return_shipping", "overdue"),
)
"""What a lease's pricing needs, and what it may have beside that."""
PLEDGE_KEYS: Final = (("success_on",), ("hold_days",))

_DEPOSIT_KEYS: Final = ("form", "waivable", "inspection_days", "lost_when", "covers_rent")


class LeaseReading(Reader):
    """The part of a policy's reader that reads leases and pledges."""

    def lease(self, node: Node, fields: Fields) -> Lease:
        if "rent" not in fields or "paid" not in fields or "goods" not in fields:
            return Lease(rent=Rent(1), paid="in_advance", goods="new")  # reported already
        amount, share = self.amount_or_share(fields["rent"], "rent")
        paid = self.one_of(fields["paid"], ("in_advance", "in_arrears"), "paid")
        goods = self.one_of(fields["goods"], ("new", "used"), "goods")
        overdue = "stays_lease"
        if "overdue" in fields:
            overdue = self.one_of(fields["overdue"], ("stays_lease", "becomes_sale"), "overdue")
        before = len(self.problems)
        lease = Lease(
            rent=Rent(amount, share),
            paid=paid,
            goods=goods,
            statement=self.text(fields["statement"], "statement") if "statement" in fields else None,
            minimum_periods=self.integer(fields["minimum_periods"], "minimum_periods")
            if "minimum_periods" in fields
            else None,
            deposit=self.deposit(fields["deposit"]) if "deposit" in fields else None,
            buyout=self.buyout(fields["buyout"]) if "buyout" in fields else None,
            renewal=self.renewal(fields["renewal"]) if "renewal" in fields else None,
            return_shipping_minor=self.optional(fields, "return_shipping", self.money, 0),
            overdue=overdue,  # type: ignore[arg-type]  # one of the two words
        )
        if before == len(self.problems):
            for trap in traps_of(lease):
                key = trap.place.split(".")[0]
                self.problem(fields.get(key, node), trap.sentence)
        return lease

    def deposit(self, node: Node) -> Deposit:
        fields = self.fields(node, "deposit", ("at_end", "release_days"), ("amount", "share", *_DEPOSIT_KEYS))
        return Deposit(
            release_days=self.optional(fields, "release_days", self.integer, 0),
            at_end=self.one_of(fields["at_end"], get_args(DepositEnd), "at_end")
            if "at_end" in fields
            else "returned",
            amount_minor=self.money(fields["amount"], "amount") if "amount" in fields else None,
            share=self.ratio(fields["share"], "share") if "share" in fields else None,
            form=self.one_of(fields["form"], ("cash", "frozen"), "form") if "form" in fields else "cash",
            waivable=self.optional(fields, "waivable", self.boolean, False),
            inspection_days=self.optional(fields, "inspection_days", self.integer, 0),
            lost_when=self.text(fields["lost_when"], "lost_when") if "lost_when" in fields else None,
            covers_rent=self.optional(fields, "covers_rent", self.boolean, False),
        )

    def buyout(self, node: Node) -> Buyout:
        if isinstance(node, ScalarNode):
            return Buyout(*self.amount_or_share(node, "buyout"))
        fields = self.fields(node, "buyout", (), ("amount", "share", "early", "last_days"))
        early = None
        if "early" in fields:
            formula = self.literal(fields["early"], EarlyFormula, "early")
            last = self.integer(fields["last_days"], "last_days") if "last_days" in fields else None
            early = EarlyBuyout(formula, last)
        elif "last_days" in fields:
            self.problem(
                fields["last_days"],
                "last_days has no meaning without early",
                f"write early: one of {', '.join(get_args(EarlyFormula))}",
            )
        return Buyout(
            self.money(fields["amount"], "amount") if "amount" in fields else None,
            self.ratio(fields["share"], "share") if "share" in fields else None,
            early,
        )

    def renewal(self, node: Node) -> Renewal:
        fields = self.fields(node, "renewal", ("coefficient",), ("consent", "asked_days_before"))
        return Renewal(
            self.optional(fields, "coefficient", self.ratio, Decimal(1)),
            self.one_of(fields["consent"], ("asked", "silent"), "consent")
            if "consent" in fields
            else "asked",
            self.optional(fields, "asked_days_before", self.integer, 5),
        )

    def amount_or_share(self, node: Node, what: str) -> tuple[int | None, Decimal | None]:
        """`¥499.00` or `7.5%`."""
        written = node.value if isinstance(node, ScalarNode) else ""
        if written.strip().endswith(("%", "％")):
            return None, self.ratio(node, what)
        return self.money(node, what), None

    def pledge(self, fields: Fields) -> Pledge:
        return Pledge(
            success_on=self.day(fields["success_on"], "success_on"),
            hold_days=self.integer(fields["hold_days"], "hold_days") if "hold_days" in fields else None,
        )

    def check_leases(
        self,
        plans: tuple[Plan, ...],
        nodes: list[Node],
        funders: tuple[Funder, ...],
        waivers: Sequence[Rule],
        waiver_nodes: list[Node],
    ) -> None:
        """That somebody says from whom a deposit that can be waived is asked all the same."""
        by_id = {funder.id: funder for funder in funders}
        waivable = [plan for plan in plans if _waivable(plan)]
        for plan, node in zip(plans, nodes, strict=True):
            funder = by_id.get(plan.funder)
            judged = any(selects(rule.applies, plan) for rule in waivers)
            if plan in waivable and not judged and funder is not None and funder.decides == "here":
                self.problem(
                    _deposit_node(node),
                    f"the deposit of {plan.id} is waivable, and no waiver says from whom it is asked all the same",
                    "write a rule under waivers:, or leave the deposit out",
                )
        for rule, node in zip(waivers, waiver_nodes, strict=True):
            if not any(selects(rule.applies, plan) for plan in waivable):
                self.problem(
                    node,
                    f"{rule.id} is about no deposit that can be waived",
                    "write waivable: yes in a lease's deposit",
                )


def _waivable(plan: Plan) -> bool:
    return (
        isinstance(plan.pricing, Lease) and plan.pricing.deposit is not None and plan.pricing.deposit.waivable
    )


def _deposit_node(node: Node) -> Node:
    return next(_under(node, "pricing", "deposit"), node)


def _under(node: Node, *keys: str) -> Iterator[Node]:
    """The node that stands under a chain of keys, if it is there."""
    at = node
    for key in keys:
        if not isinstance(at, MappingNode):
            return
        found = next((value for name, value in at.value if name.value == key), None)
        if found is None:
            return
        at = found
    yield at
