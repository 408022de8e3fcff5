"""Filling an empty demo: the shop, its policy, its customers, and what they bought before.

Nothing is faked into place. Somebody is overdue because a contract was confirmed in August and its November instalment
never came; the same services did it that the pages call, with the dates of then. Running it again changes nothing
but the API key, of which only the hash is kept: each start gets a new one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from django.conf import settings

from fenqi.calendars import at_local, local_date, to_epoch
from fenqi.policy.document import files_in, load_policy
from fenqi.policy.snapshot import Snapshot
from fenqi.policy.snapshot import digest as snapshot_digest
from fenqi_server import facts as fact_sources
from fenqi_server.customers import service as customers
from fenqi_server.db import in_transaction, use_shop
from fenqi_server.decisions import log
from fenqi_server.decisions import service as decisions
from fenqi_server.demo import clock
from fenqi_server.demo.catalogue import PRODUCT_BY_SKU
from fenqi_server.demo.people import (
    PEOPLE,
    READ_FOR,
    START_AT,
    PastPurchase,
    Person,
    funder_answers,
    shop_facts,
)
from fenqi_server.demo.staff import seed_staff
from fenqi_server.facts.asserted import may_assert
from fenqi_server.funders import consents
from fenqi_server.policies import service as policies
from fenqi_server.servicing import closing
from fenqi_server.servicing import service as servicing
from fenqi_server.shops import service as shops
from fenqi_server.shops.models import ApiKey, Shop
from fenqi_server.storefront import cart, orders

__all__ = ["SHOP_CODE", "assess", "buy", "enrol", "seed"]

SHOP_CODE: Final = "mall"
POLICY_FOLDER: Final = Path(__file__).resolve().parent / "policy"
OPENED_AT: Final = datetime(2025, 12, 31, 16, 0, tzinfo=UTC)
"""Midnight of the new year in Shanghai: the shop opened, and the policy is in force since."""
_KEY_LABEL: Final = "demo"


def seed() -> dict[str, str]:
    """Fill what is missing, and make a new API key: `{"api_key": ..., "shop": ...}`."""
    snapshot = _policy()
    shop = _shop(snapshot)
    _publish(shop, snapshot, files_in(POLICY_FOLDER)[0])
    clock.start(START_AT.astimezone(UTC))
    for person in PEOPLE:
        in_transaction(lambda person=person: enrol(shop, person, START_AT))
    closing.close_day(shop, local_date(START_AT, shop.time_zone), START_AT)
    log.flush()
    seed_staff(shop)
    return {"api_key": _key(shop), "shop": shop.code}


def _policy() -> Snapshot:
    loaded = load_policy(POLICY_FOLDER)
    if loaded.snapshot is None:
        raise ValueError(
            "the demo's policy does not load: " + "; ".join(str(found) for found in loaded.problems)
        )
    return loaded.snapshot


def _shop(snapshot: Snapshot) -> Shop:
    try:
        return shops.by_code(SHOP_CODE)
    except Shop.DoesNotExist:
        name = snapshot.shop.name
        return shops.create_shop(
            SHOP_CODE,
            name_zh_cn=name.zh_cn,
            name_en=name.en,
            at=OPENED_AT,
            time_zone=snapshot.shop.time_zone,
            currency=snapshot.shop.currency,
        )


def _publish(shop: Shop, snapshot: Snapshot, files: dict[str, str]) -> None:
    """A demo that is started by a newer Fenqi gets that one's policy, from the moment of the start."""
    known = policies.publications(shop.id)
    if not known:
        policies.publish(shop, snapshot, OPENED_AT, "demo", files=files, kind="seed")
    elif known[-1].digest != snapshot_digest(snapshot):
        begins = max(clock.now(), known[-1].valid_from)
        policies.publish(
            shop,
            snapshot,
            begins,
            "demo",
            files=files,
            kind="seed",
            silent_reason="a newer Fenqi brings the demo another policy",
        )


def enrol(shop: Shop, person: Person, at: datetime) -> None:
    """Write down a customer who is not known yet, with what the shop says of them and what they bought before."""
    if customers.find(shop, person.external_ref) is not None:
        return
    joined = START_AT - timedelta(days=person.account_days)
    customer_id = customers.ensure(shop, person.external_ref, joined, limit_minor=person.limit_minor)
    customers.set_private(shop, customer_id, customers.Private(person.name.zh_cn, person.email), at)
    for funder in person.consents:
        consents.record(shop, customer_id, funder, joined)
    for purchase in person.history:
        _history(shop, customer_id, person, purchase)
    assess(shop, customer_id, person, at)


def buy(
    shop: Shop,
    customer_id: UUID,
    person: Person,
    items: tuple[cart.CartItem, ...],
    plan: str,
    reference: str,
    at: datetime,
) -> str:
    """Buy on the shop's own terms as the pages do: evaluate, read, confirm, order. The contract's public id."""
    shown_at = at - READ_FOR
    policy = policies.current(shop.id, shown_at)
    asserted = {
        name: value
        for name, value in shop_facts(person).items()
        if name in policy.vocabulary and may_assert(policy.vocabulary[name])
    }
    decision = decisions.evaluate(
        shop, customer_id, cart.lines_of(items), "web", asserted, shown_at, source="checkout"
    )
    option = decision.evaluation.option(plan)
    quote = decision.quotes.get(plan)
    if quote is None or option.disclosure is None:
        raise ValueError(f"{person.external_ref} could not buy {items[0].product.sku} with {plan}: {option}")
    begun = decisions.begin_reading(shop, customer_id, quote.token, shown_at)
    confirmed = decisions.confirm(
        shop, customer_id, quote.token, reference, begun.digest, at, reading=begun.note
    )
    assert isinstance(confirmed, decisions.Confirmed), "only the shop's own plans are bought here"
    orders.record(
        shop,
        customer_id,
        orders.new_name(at)[0],
        reference=reference,
        items=items,
        currency=shop.currency,
        plan=plan,
        policy_digest=decision.policy.digest,
        contract=confirmed.contract_id,
        hand_off=None,
        at=at,
    )
    return confirmed.contract_id


def _history(shop: Shop, customer_id: UUID, person: Person, purchase: PastPurchase) -> None:
    """A purchase of then, of which each instalment was paid on its day."""
    at = purchase.confirmed_at
    items = (cart.CartItem(PRODUCT_BY_SKU[purchase.sku], 1),)
    contract = buy(shop, customer_id, person, items, purchase.plan, purchase.order_ref, at)
    rows = servicing.get(shop, contract, at=at).state.rows
    for row in rows[: purchase.paid]:
        on = datetime.fromtimestamp(at_local(row.due_on, 10 * 60, shop.time_zone), UTC)
        closing.close_day(shop, row.due_on, on)
        servicing.pay(
            shop,
            contract,
            row.total_minor,
            "received",
            f"{purchase.order_ref}-{row.number}",
            on,
        )


def assess(shop: Shop, customer_id: UUID, person: Person, at: datetime) -> int:
    """Write down what the pretend funders have answered about a person by `at`; how many answers are new."""
    use_shop(shop.id)
    known = fact_sources.gather(shop, customer_id, {}, policies.current(shop.id, at), at)
    answers = funder_answers(person, to_epoch(at))
    new = 0
    for assessment in person.assessments:
        name = f"funder.{assessment.funder}.prequal"
        answer = answers.get(name)
        if answer is None or known.get(name) == answer or (name in known and assessment.until is None):
            continue
        if name not in known and at - START_AT > timedelta(days=30):
            continue  # an old answer is forgotten; it is not given again by itself
        deadline = assessment.until if answer == "pending" else None
        fact_sources.record_prequal(
            shop.id, customer_id, assessment.funder, str(answer), at, deadline_at=deadline
        )
        new += 1
    return new


def _key(shop: Shop) -> str:
    now = clock.now()
    for old in ApiKey.objects.filter(shop=shop, label=_KEY_LABEL, revoked_at=None):
        shops.revoke_key(old.id, now)
    shops.allow_origin(shop, settings.FENQI_ORIGIN, now)
    return shops.create_key(shop, _KEY_LABEL, at=now)
