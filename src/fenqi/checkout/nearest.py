"""The nearest change: the least that the customer could do differently so that a missing way to pay is there.

Only what a customer changes at the checkout is varied (the card, the channel, the coupon, what is in the cart), never
what they are, and never the clock. The fewest changes win; of amounts the nearest. Each answer has been asked of the
same rules as the checkout (`fenqi.policy.verdict.decide`), at the price of the changed cart: what it says is offered.

Three things are never suggested. An order is not split: a lower amount, or a cart without some items, is told as the
bound that it is, and never one that comes of the customer's own line of credit. A rule whose particulars are not the
customer's to know is not given away: where one stands in the way there is no nearest change. And nobody is told to be
somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations, product
from typing import TYPE_CHECKING, Final, Literal
from weakref import WeakKeyDictionary

import msgspec

from fenqi.calendars import CalendarError, local_date
from fenqi.checkout.evaluation import is_waived, priced_facts
from fenqi.checkout.request import CheckoutRequest, Line, cart_facts, checked_amount, known_facts
from fenqi.money import MAX_MINOR, MoneyError
from fenqi.policy.conditions import Clause, Range, clauses_of
from fenqi.policy.facts import Facts, FactType, FactValue
from fenqi.policy.reasons import value_text
from fenqi.policy.snapshot import selects
from fenqi.policy.verdict import decide_deposits, in_the_way
from fenqi.terms.cost import cost_of
from fenqi.terms.plan import Plan, TermsError
from fenqi.terms.schedule import build_schedule
from fenqi.texts import Param, Text, fill

if TYPE_CHECKING:
    from fenqi.policy.compile import Policy

__all__ = ["MAX_CHANGES", "NearestChange", "Step", "nearest_change", "nearest_text"]

MAX_CHANGES: Final = 3
_MAX_TRIES: Final = 2_000
_MAX_NAMES: Final = 4
"""So many names in the cart's way are tried in all their subsets; of more, one by one and all together."""

Bound = Literal["is", "at_least", "at_most", "without"]


class Step(msgspec.Struct, frozen=True):
    """One thing to do differently: the fact is then `value`, or at least or at most that; of a cart, without those names."""

    fact: str
    bound: Bound
    value: FactValue


class NearestChange(msgspec.Struct, frozen=True, kw_only=True):
    """With these steps the plan is offered. `facts`: all that is then another fact (a cart without an item has another
    amount too).
    """

    plan: str
    steps: tuple[Step, ...]
    facts: dict[str, FactValue]


class _Move(msgspec.Struct, frozen=True):
    """A step that may be tried, and the facts that follow from it."""

    step: Step
    facts: dict[str, FactValue]


_ITEMS: Final = "items"
_ATTRIBUTES: Final[dict[str, Callable[[Line], str]]] = {
    "cart.kinds": lambda line: line.kind,
    "cart.categories": lambda line: line.category,
    "cart.sellers": lambda line: line.seller,
    "cart.skus": lambda line: line.sku,
}
# What can be turned one way only: nobody is told to sign out, or to come up with a coupon.
_ONE_WAY: Final = {"customer.signed_in": True, "cart.has_coupon": False}
_NEVER: Final = frozenset({"cart.currency", "cart.line_count"})
_EFFORT: Final = {
    "customer.signed_in": 1,
    "card.kind": 2,
    "card.bank": 2,
    "cart.has_coupon": 3,
    "channel.kind": 4,
    "cart.amount": 6,
    _ITEMS: 7,
    "region.ship_to": 8,
}
_OWN_EFFORT: Final = 5
_OF_AMOUNT: Final = (
    "offer.financed",
    "offer.instalment_min",
    "offer.instalment_max",
    "offer.fee",
    "offer.total",
)
"""What grows with the order's amount: a bound on it is a bound on the amount."""


class _Domain(msgspec.Struct, frozen=True):
    """What the rules about one plan ask of what a customer can change: by fact, the clauses that name it."""

    clauses: dict[str, tuple[Clause, ...]]
    touched: dict[str, frozenset[str]]
    """By rule: what may be changed to move its outcome."""


_DOMAINS: Final[WeakKeyDictionary[Policy, dict[str, _Domain]]] = WeakKeyDictionary()


def nearest_change(policy: Policy, request: CheckoutRequest, plan: str) -> NearestChange | None:
    """The fewest things to do differently so that the plan is offered; None where there are none, or it is offered.

    At most `MAX_CHANGES` of them. Raises `RequestError` where the request itself is wrong and `KeyError` where the policy
    has no such plan.
    """
    amount = checked_amount(request)
    facts = known_facts(policy, request, amount).facts
    pricing = _Pricing(policy, policy.plan(plan), request, facts)
    offer = pricing.offer(amount)
    rules = in_the_way(policy, facts, plan, offer, overrides=request.overrides)
    if offer is not None and not rules:
        return None
    if any(rule.public == "generic" for rule in rules):
        return None
    domain = _domain(policy, pricing.plan)
    needed = [domain.touched[rule.id] for rule in rules]
    if offer is None:
        needed.append(frozenset({"cart.amount"}))
    if not all(needed):
        return None
    search = _Search(policy, request, facts, pricing, domain)
    keys = sorted(search.keys, key=lambda key: (_EFFORT.get(key, _OWN_EFFORT), key))
    for count in range(1, MAX_CHANGES + 1):
        choices = [
            chosen
            for chosen in combinations(keys, count)
            if all(not touched.isdisjoint(chosen) for touched in needed)
            # One says what the order comes to, the other what is in it.
            and not (_ITEMS in chosen and "cart.amount" in chosen)
        ]
        choices.sort(key=lambda chosen: sum(_EFFORT.get(key, _OWN_EFFORT) for key in chosen))
        for chosen in choices:
            found = search.first(chosen)
            if found is not None:
                return _answer(pricing, facts, found)
    return None


def _answer(pricing: _Pricing, facts: Facts, moves: tuple[_Move, ...]) -> NearestChange:
    changed = {name: value for move in moves for name, value in move.facts.items()}
    return NearestChange(
        plan=pricing.plan.id,
        steps=tuple(move.step for move in moves),
        facts={name: value for name, value in changed.items() if facts.get(name) != value},
    )


def _amount(facts: Facts) -> int:
    amount = facts["cart.amount"]
    assert type(amount) is int, "a request's amount has been checked"
    return amount


class _Pricing:
    """What one plan's offer would be at other amounts."""

    def __init__(self, policy: Policy, plan: Plan, request: CheckoutRequest, facts: Facts) -> None:
        self.plan = plan
        self.currency = policy.currency
        self.calendars = policy.calendars
        # What the customer would change is the cart: whether the deposit is waived stays.
        deposits = decide_deposits(policy, facts, overrides=request.overrides)
        self.waived = is_waived(deposits.get(plan.id))
        self.start_on = local_date(request.at, policy.zone)
        self.known: dict[int, Facts | None] = {}

    def offer(self, amount: int) -> Facts | None:
        """The priced facts at an amount; None where the plan's terms do not fit it."""
        if amount not in self.known:
            try:
                schedule = build_schedule(
                    self.plan,
                    amount,
                    self.currency,
                    self.start_on,
                    self.calendars,
                    deposit_waived=self.waived,
                )
            except (TermsError, MoneyError, CalendarError):
                self.known[amount] = None
            else:
                self.known[amount] = priced_facts(schedule, cost_of(schedule, self.plan), self.plan.periods)
        return self.known[amount]

    def least(self, reached: Callable[[Facts | None], bool], near: int | None = None) -> int | None:
        """The least amount from which on something that grows with the amount is reached; None where it never is.

        `near` is a guess: the better it is, the fewer amounts are priced. They are what takes the time.
        """
        low, high = 0, 1
        if near is not None:
            low, high, step = near - 1, near, 1
            while low > 0 and reached(self.offer(low)):
                step *= 4
                low, high = max(0, low - step), low
        while not reached(self.offer(high)):
            low, high = high, (high * 4 if near is None else high + (high - low) * 4)
            if high > MAX_MINOR:
                return None
        while high - low > 1:
            middle = (low + high) // 2
            if reached(self.offer(middle)):
                high = middle
            else:
                low = middle
        return high


class _Search:
    """The steps that can be tried from one request, and what the rules say of them together."""

    def __init__(
        self,
        policy: Policy,
        request: CheckoutRequest,
        facts: Facts,
        pricing: _Pricing,
        domain: _Domain,
    ) -> None:
        self.policy = policy
        self.request = request
        self.facts = facts
        self.pricing = pricing
        self.tries = 0
        self.moves: dict[str, tuple[_Move, ...]] = {}
        self.asked_of_amount = domain.clauses.get("cart.amount", ())
        names: dict[str, set[str]] = {}
        for name, clauses in domain.clauses.items():
            if name == "cart.amount":
                continue
            if name in _ATTRIBUTES:
                present = facts.get(name)
                # From the cart to the names, since a set may hold 100,000 of those.
                known = present if isinstance(present, frozenset) else frozenset()
                names[name] = {word for clause in clauses for word in known & _words(clause.value)}
                continue
            fact = policy.vocabulary[name]
            values = list(self._values(fact, clauses))
            if values:
                self.moves[name] = tuple(self._to(name, value) for value in values)
        if any(names.values()):
            self.moves[_ITEMS] = tuple(self._without(names))

    @property
    def keys(self) -> tuple[str, ...]:
        """What can be changed. Of an order that the terms do not fit the amount is asked even where no rule does."""
        return (
            (*self.moves, "cart.amount") if self.asked_of_amount or self._is_unpriced() else tuple(self.moves)
        )

    def _is_unpriced(self) -> bool:
        return self.pricing.offer(_amount(self.facts)) is None

    def of(self, key: str) -> tuple[_Move, ...]:
        """The moves of one thing. Amounts are worked out when first asked for: most changes need none."""
        known = self.moves.get(key)
        if known is None:
            assert key == "cart.amount", "all else is worked out at once"
            known = self.moves[key] = tuple(
                self._to(key, value) for value in self._amounts(self.asked_of_amount)
            )
        return known

    def first(self, chosen: tuple[str, ...]) -> tuple[_Move, ...] | None:
        """The first of all combinations of these moves with which nothing is in the plan's way."""
        for moves in product(*(self.of(key) for key in chosen)):
            self.tries += 1
            if self.tries > _MAX_TRIES:
                return None
            then = {**self.facts}
            for move in moves:
                then.update(move.facts)
            offer = self.pricing.offer(_amount(then))
            if offer is None:
                continue
            name = self.pricing.plan.id
            if not in_the_way(self.policy, then, name, offer, overrides=self.request.overrides):
                return moves
        return None

    def _to(self, name: str, value: FactValue) -> _Move:
        was = self.facts.get(name)
        bound: Bound = "is"
        if type(value) is int and type(was) is int:
            bound = "at_least" if value > was else "at_most"
        return _Move(Step(name, bound, value), {name: value})

    def _amounts(self, clauses: tuple[Clause, ...]) -> list[int]:
        """Amounts just inside and just outside of what is asked, the nearest first: only there an answer can change."""
        found: set[int] = set()
        for clause in clauses:
            if clause.fact in _OF_AMOUNT:
                found |= set(self._amounts_of(clause))
            else:
                found |= _edges(clause, "cart.amount", self.facts)
        now = _amount(self.facts)
        if self._is_unpriced():
            least = self.pricing.least(lambda offer: offer is not None)
            found |= set() if least is None else {least}
        return sorted(
            (one for one in found if 0 < one <= MAX_MINOR and one != now), key=lambda one: abs(one - now)
        )

    def _amounts_of(self, clause: Clause) -> Iterator[int]:
        now = _amount(self.facts)
        value_now = (self.pricing.offer(now) or {}).get(clause.fact)
        # Whatever is compared, it changes its mind where the bound is reached, and where it is passed.
        for bound in sorted(_edges(clause, clause.fact, self.facts))[1:]:

            def reached(offer: Facts | None, bound: int = bound) -> bool:
                value = None if offer is None else offer.get(clause.fact)
                return isinstance(value, int) and value >= bound

            near = None
            if type(value_now) is int and value_now > 0 and bound > 0:
                # What an offer comes to grows nearly in step with the order.
                near = min(max(1, now * bound // value_now), MAX_MINOR)
            least = self.pricing.least(reached, near)
            if least is not None:
                yield least
                if least > 1:
                    yield least - 1

    def _values(self, fact: FactType, clauses: tuple[Clause, ...]) -> Iterator[FactValue]:
        was = self.facts.get(fact.name)
        if fact.type == "bool":
            wanted = _ONE_WAY.get(fact.name)
            yield from (value for value in (True, False) if value is not was and wanted in (None, value))
            return
        if fact.type in ("enum", "text"):
            # Nobody is told to become one out of a long list.
            named = [word for each in clauses if each.members is None for word in sorted(_words(each.value))]
            words = dict.fromkeys((*named, *fact.values))
            yield from (word for word in words if word != was)
            return
        if fact.type in ("int", "money", "rate"):
            edges = {edge for clause in clauses for edge in _edges(clause, fact.name, self.facts)}
            near = was if type(was) is int else 0
            yield from sorted(
                (edge for edge in edges if edge >= 0 and edge != was), key=lambda edge: abs(edge - near)
            )

    def _without(self, names: Mapping[str, set[str]]) -> Iterator[_Move]:
        """The cart without the lines of some names that a rule mentions, those that leave most of it first."""
        present = sorted((name, word) for name, words in names.items() for word in words)
        if len(present) <= _MAX_NAMES:
            chosen = [pick for count in range(1, len(present) + 1) for pick in combinations(present, count)]
        else:
            chosen = [*((one,) for one in present), tuple(present)]
        found: list[tuple[int, int, _Move]] = []
        for number, out in enumerate(chosen):
            kept = tuple(
                line
                for line in self.request.lines
                if not any(_ATTRIBUTES[name](line) == word for name, word in out)
            )
            amount = sum(line.quantity * line.unit_price_minor for line in kept)
            # Of one attribute a sentence can be said; an empty cart is no order.
            if not kept or amount <= 0 or len({name for name, _ in out}) > 1:
                continue
            facts = cart_facts(msgspec.structs.replace(self.request, lines=kept), amount)
            step = Step(out[0][0], "without", frozenset(word for _, word in out))
            found.append((-amount, number, _Move(step, facts)))
        yield from (move for _, _, move in sorted(found, key=lambda one: one[:2]))


def _edges(clause: Clause, name: str, facts: Facts) -> set[int]:
    """The whole numbers at which the clause may change its mind about a fact."""
    bound: object = clause.value
    if clause.other is not None:
        bound = facts.get(clause.other if clause.fact == name else clause.fact)
    if isinstance(bound, Range):
        return {edge for end in (bound.low, bound.high) for edge in (end - 1, end, end + 1)}
    return {bound - 1, bound, bound + 1} if type(bound) is int else set()


def _words(value: object) -> frozenset[str]:
    if isinstance(value, frozenset):
        return value
    return frozenset({value}) if isinstance(value, str) else frozenset()


def _domain(policy: Policy, plan: Plan) -> _Domain:
    known = _DOMAINS.setdefault(policy, {})
    if plan.id not in known:
        known[plan.id] = _read_domain(policy, plan)
    return known[plan.id]


def _read_domain(policy: Policy, plan: Plan) -> _Domain:
    clauses: dict[str, list[Clause]] = {}
    touched: dict[str, frozenset[str]] = {}
    for rule, personal in zip(policy.resolved, policy.personal, strict=True):
        if not selects(rule.applies, plan):
            continue
        keys: set[str] = set()
        trees = (rule.when, rule.require, rule.pending.when if rule.pending else None)
        for clause in (clause for tree in trees if tree is not None for clause in clauses_of(tree)):
            for name in (clause.fact, clause.other):
                if name is None or (name not in _OF_AMOUNT and not _changeable(policy.vocabulary[name])):
                    continue
                key = _ITEMS if name in _ATTRIBUTES else "cart.amount" if name in _OF_AMOUNT else name
                # An amount that would do for a rule about the person would tell what the person has.
                if personal and key in (_ITEMS, "cart.amount"):
                    continue
                keys.add(key)
                # What a hidden rule looks at is nothing to begin from.
                if rule.public == "full":
                    clauses.setdefault(name if key == _ITEMS else key, []).append(clause)
        touched[rule.id] = frozenset(keys | {_ITEMS} if "cart.amount" in keys else keys)
    return _Domain({name: tuple(dict.fromkeys(found)) for name, found in clauses.items()}, touched)


def _changeable(fact: FactType) -> bool:
    return fact.changeable and not fact.personal and fact.name not in _NEVER


# --- in words -----------------------------------------------------------------------------------------------------


class _Words(msgspec.Struct, frozen=True):
    """A step said alone, and said as one of several."""

    alone: Text
    among: Text


_SAID: Final[dict[tuple[str, Bound], _Words]] = {
    ("cart.amount", "at_least"): _Words(
        Text("订单满 {value:money} 时可用。", "Available from {value:money}."),
        Text("订单满 {value:money}", "the order comes to at least {value:money}"),
    ),
    ("cart.amount", "at_most"): _Words(
        Text("订单不超过 {value:money} 时可用。", "Available up to {value:money}."),
        Text("订单不超过 {value:money}", "the order comes to at most {value:money}"),
    ),
    ("cart.has_coupon", "is"): _Words(
        Text("不使用优惠券时可用。", "Available without the coupon."),
        Text("不使用优惠券", "no coupon is used"),
    ),
    ("customer.signed_in", "is"): _Words(
        Text("登录后可用。", "Available once you are signed in."), Text("已登录", "you are signed in")
    ),
    ("channel.kind", "is"): _Words(
        Text("在{value}下单时可用。", "Available when you order in {value}."),
        Text("在{value}下单", "you order in {value}"),
    ),
    ("card.bank", "is"): _Words(
        Text("使用{value}的卡时可用。", "Available with a card of {value}."),
        Text("使用{value}的卡", "the card is of {value}"),
    ),
    ("card.kind", "is"): _Words(
        Text("使用{value}时可用。", "Available with a card of this kind: {value}."),
        Text("使用{value}", "the card is of this kind: {value}"),
    ),
    ("region.ship_to", "is"): _Words(
        Text("收货地区为{value}时可用。", "Available for delivery to {value}."),
        Text("收货地区为{value}", "the delivery is to {value}"),
    ),
    ("cart.kinds", "without"): _Words(
        Text("订单不含{value}时可用。", "Available for an order without items of this form: {value}."),
        Text("订单不含{value}", "the order has no item of this form: {value}"),
    ),
    ("cart.categories", "without"): _Words(
        Text("订单不含这些类目的商品时可用：{value}。", "Available for an order without items of: {value}."),
        Text("订单不含这些类目的商品：{value}", "the order has no item of: {value}"),
    ),
    ("cart.sellers", "without"): _Words(
        Text(
            "订单不含这些卖家的商品时可用：{value}。",
            "Available for an order without items sold by: {value}.",
        ),
        Text("订单不含这些卖家的商品：{value}", "the order has no item sold by: {value}"),
    ),
    ("cart.skus", "without"): _Words(
        Text("订单不含这些商品时可用：{value}。", "Available for an order without these items: {value}."),
        Text("订单不含这些商品：{value}", "the order has none of these items: {value}"),
    ),
}
_OTHER: Final[dict[Bound, _Words]] = {
    "is": _Words(
        Text("“{fact}”为“{value}”时可用。", "Available where “{fact}” is: {value}."),
        Text("“{fact}”为“{value}”", "“{fact}” is: {value}"),
    ),
    "at_least": _Words(
        Text("“{fact}”不低于 {value} 时可用。", "Available where “{fact}” is at least {value}."),
        Text("“{fact}”不低于 {value}", "“{fact}” is at least {value}"),
    ),
    "at_most": _Words(
        Text("“{fact}”不高于 {value} 时可用。", "Available where “{fact}” is at most {value}."),
        Text("“{fact}”不高于 {value}", "“{fact}” is at most {value}"),
    ),
}
_CARD: Final = Text("使用{bank}的{kind}时可用。", "Available with a card of {bank}, of this kind: {kind}.")
_TWO: Final = Text("同时满足两项时可用：{first}；{second}。", "Available when both hold: {first}; {second}.")
_THREE: Final = Text(
    "同时满足三项时可用：{first}；{second}；{third}。",
    "Available when all three hold: {first}; {second}; {third}.",
)


def nearest_text(policy: Policy, change: NearestChange, locale: str) -> str:
    """The nearest change in a sentence for the customer."""
    steps = change.steps
    by_fact = {step.fact: step for step in steps}
    if set(by_fact) == {"card.bank", "card.kind"}:
        params = {name: _value(policy, by_fact[f"card.{name}"], locale) for name in ("bank", "kind")}
        return _fill(policy, _CARD, params, locale)
    if len(steps) == 1:
        return _say(policy, steps[0], locale, alone=True)
    said = [_say(policy, step, locale, alone=False) for step in steps]
    text = _TWO if len(steps) == 2 else _THREE
    return _fill(policy, text, dict(zip(("first", "second", "third"), said, strict=False)), locale)


def _say(policy: Policy, step: Step, locale: str, *, alone: bool) -> str:
    known = _SAID.get((step.fact, step.bound))
    words = known if known is not None else _OTHER[step.bound]
    value: Param = _value(policy, step, locale)
    if known is not None and step.fact == "cart.amount" and type(step.value) is int:
        value = step.value
    params: dict[str, Param] = {"fact": policy.vocabulary[step.fact].label, "value": value}
    return _fill(policy, words.alone if alone else words.among, params, locale)


def _fill(policy: Policy, text: Text, params: Mapping[str, Param], locale: str) -> str:
    return fill(text, params, locale, currency=policy.currency, zone=policy.zone)


def _value(policy: Policy, step: Step, locale: str) -> str:
    return value_text(policy, policy.vocabulary[step.fact], step.value, locale, None)
