"""Nothing of a customer's own, and no reason of risk, in anything public: whoever the customers are, and whatever they asked."""

from __future__ import annotations

from typing import Any

import pytest

PUBLIC = (
    "/announcements/",
    "/announcements/?funder=mall",
    "/ways-to-pay/",
    "/ways-to-pay/mall/",
    "/ways-to-pay/hean/",
    "/badge.svg",
    "/v1/announcements",
    *(
        f"/announcements/feed.{format}?lang={lang}"
        for format in ("atom", "rss", "json", "ics")
        for lang in ("zh-CN", "en")
    ),
)
OWN_LAYERS = ("risk", "customer")
GENERAL = {"LOGIN_REQUIRED"}
"""To sign in is asked of anybody at all, and said on the guide too."""


@pytest.fixture
def shops_customers(db: Any, demo_site: None) -> Any:
    """The sample customers, each of whom has asked for the dearest thing and met reasons of their own."""
    from tests.api.world import PHONE

    from fenqi_server import clock
    from fenqi_server.customers import service as customers
    from fenqi_server.decisions import service as decisions
    from fenqi_server.demo.people import PEOPLE, shop_facts
    from fenqi_server.demo.seed import seed
    from fenqi_server.facts.asserted import may_assert
    from fenqi_server.policies import service as policies
    from fenqi_server.shops.service import only_shop

    seed()
    shop, at = only_shop(), clock.now()
    policy = policies.current(shop.id, at)
    personal: set[str] = set()
    for person in PEOPLE:
        customer = customers.ensure(shop, person.external_ref, at)
        facts = {
            name: value
            for name, value in shop_facts(person).items()
            if name in policy.vocabulary and may_assert(policy.vocabulary[name])
        }
        made = decisions.evaluate(shop, customer, (PHONE,), "web", facts, at)
        for option in made.evaluation.options:
            personal |= {
                reason.code
                for reason in option.verdict.reasons
                if (reason.layer in OWN_LAYERS or reason.personal) and reason.code not in GENERAL
            }
    assert {"OVERDUE_EXISTS", "LINE_INSUFFICIENT", "UNDERAGE"} <= personal, (
        "the samples have reasons of their own"
    )
    return PEOPLE, personal


def test_no_public_output_has_a_customer_or_a_reason_of_theirs(shops_customers: Any) -> None:
    from django.conf import settings
    from django.test import Client

    from fenqi.policy.catalogue import CATALOGUE
    from fenqi_server.announcements import lifecycle
    from fenqi_server.shops.service import only_shop

    people, personal = shops_customers
    secrets = {text for person in people for text in (person.name.zh_cn, person.name.en, person.email)}
    secrets |= {CATALOGUE[code].title.in_(locale) for code in personal for locale in ("zh-CN", "en")}
    secrets |= personal | {"risk.", "customer.", "limit.mall", "prequal"}
    addresses = list(PUBLIC)
    for revision in lifecycle.latest(only_shop()).values():
        addresses.append(f"/announcements/{revision.announcement}/")
        addresses.append(f"/v1/announcements/{revision.announcement}")
        addresses += [f"/announcements/{revision.announcement}/1/card.{lang}.svg" for lang in ("zh-CN", "en")]
    before, settings.FENQI_DEMO = settings.FENQI_DEMO, False
    try:
        for language in ("zh-CN", "en"):
            for address in addresses:
                answer = Client(headers={"accept-language": language}).get(address)
                assert answer.status_code == 200, address
                said = answer.content.decode()
                found = {secret for secret in secrets if secret in said}
                assert not found, f"{address} tells {found}"
    finally:
        settings.FENQI_DEMO = before


def test_a_notice_that_a_personal_rule_links_has_no_impact_of_it_even_past_the_policy_check(
    mall: Any,
) -> None:
    """The policy check refuses it; a snapshot that went by it tells no more."""
    import msgspec
    from tests.api.world import demo_snapshot

    from fenqi.policy.compile import compile_policy
    from fenqi_server.announcements.document import document_of

    snapshot = demo_snapshot()
    linked = {"risk.overdue", "risk.account", "customer.line", "law.adult"}
    rules = tuple(
        msgspec.structs.replace(rule, notice="beichen-24-pause") if rule.id in linked else rule
        for rule in snapshot.rules
    )
    policy = compile_policy(msgspec.structs.replace(snapshot, rules=rules))
    document = document_of(policy, policy.notices["beichen-24-pause"], not_before=0)
    assert {impact.code for impact in document.impacts} == {"STRATEGY_PAUSE"}
