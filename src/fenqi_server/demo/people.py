"""The sample mall's customers, as data: what the shop asserts of each, and what each has bought before.

What Fenqi knows by itself is not written here: whether somebody is overdue and how much of a line is in use follow
from the contracts that `history` gives them. Everybody is invented.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from fenqi.calendars import to_epoch, zone_of
from fenqi.policy.facts import FactValue
from fenqi.texts import Text

__all__ = [
    "PEOPLE",
    "PERSON_BY_REF",
    "READ_FOR",
    "START_AT",
    "YEAR_PEOPLE",
    "Assessment",
    "Card",
    "PastPurchase",
    "Person",
    "funder_answers",
    "shop_facts",
]


def _at(year: int, month: int, day: int, hour: int = 10, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=zone_of("Asia/Shanghai"))


START_AT: Final = _at(2026, 11, 23)
"""Where the demo's clock begins."""
READ_FOR: Final = timedelta(seconds=40)
"""How long these people look at a table of costs before they agree to it."""


class Card(msgspec.Struct, frozen=True):
    """The bank card kept with the account."""

    bank: str
    kind: str


class Assessment(msgspec.Struct, frozen=True):
    """A funder's answer about the customer; `pending` until an instant, and `then` another."""

    funder: str
    answer: str
    until: datetime | None = None
    then: str | None = None


class PastPurchase(msgspec.Struct, frozen=True):
    """A purchase on the shop's own instalments, of which the first `paid` instalments were paid on their day."""

    order_ref: str
    sku: str
    plan: str
    confirmed_at: datetime
    paid: int


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A customer. `limit_minor` is the credit line with the shop itself; 0 means that none was opened."""

    external_ref: str
    name: Text
    about: Text
    email: str
    age: int
    student: bool
    real_name_verified: bool
    account_days: int
    tier: int
    limit_minor: int
    consents: tuple[str, ...] = ()
    card: Card | None = None
    assessments: tuple[Assessment, ...] = ()
    last_used_family: str | None = None
    channel: str = "web"
    history: tuple[PastPurchase, ...] = ()


PEOPLE: Final = (
    Person(
        external_ref="new",
        name=Text("林晓", "Lin Xiao"),
        about=Text("今天刚注册的新顾客", "New: opened the account today"),
        email="lin.xiao@example.com",
        age=26,
        student=False,
        real_name_verified=False,
        account_days=0,
        tier=0,
        limit_minor=0,
    ),
    Person(
        external_ref="student",
        name=Text("周一鸣", "Zhou Yiming"),
        about=Text("17 岁的在校学生", "A student of 17"),
        email="zhou.yiming@example.com",
        age=17,
        student=True,
        real_name_verified=True,
        account_days=420,
        tier=1,
        limit_minor=0,
        card=Card("beichen", "debit"),
    ),
    Person(
        external_ref="good",
        name=Text("陈静", "Chen Jing"),
        about=Text("信用良好，上次用的是商城分期", "In good standing; last used the mall's own instalments"),
        email="chen.jing@example.com",
        age=34,
        student=False,
        real_name_verified=True,
        account_days=1460,
        tier=3,
        limit_minor=2_000_000,
        consents=("hean",),
        card=Card("tingchao", "credit"),
        assessments=(Assessment("hean", "approved"),),
        last_used_family="mall",
        history=(PastPurchase("M-20260601-0417", "cg-lite", "mall_3", _at(2026, 6, 1), 3),),
    ),
    Person(
        external_ref="overdue",
        name=Text("王磊", "Wang Lei"),
        about=Text("有一期账单逾期未还", "One instalment is past due"),
        email="wang.lei@example.com",
        age=41,
        student=False,
        real_name_verified=True,
        account_days=900,
        tier=2,
        limit_minor=1_500_000,
        consents=("hean",),
        card=Card("beichen", "credit"),
        assessments=(Assessment("hean", "declined"),),
        last_used_family="mall",
        # Due on 5 September, October and November; November's is unpaid.
        history=(PastPurchase("M-20260805-1136", "cg-lite", "mall_6", _at(2026, 8, 5), 2),),
    ),
    Person(
        external_ref="over_limit",
        name=Text("赵雪", "Zhao Xue"),
        about=Text("商城额度大多已用", "Most of the line with the mall is in use"),
        email="zhao.xue@example.com",
        age=29,
        student=False,
        real_name_verified=True,
        account_days=700,
        tier=2,
        limit_minor=800_000,
        consents=("hean",),
        card=Card("tingchao", "credit"),
        assessments=(Assessment("hean", "pending", _at(2026, 11, 23, 18), "approved"),),
        last_used_family="mall",
        # The first instalment is due on 30 November: nothing is late, but the line is taken.
        history=(PastPurchase("M-20261030-0958", "cg-15-pro", "mall_12", _at(2026, 10, 30), 0),),
    ),
    Person(
        external_ref="running",
        name=Text("刘洋", "Liu Yang"),
        about=Text(
            "用 App 下单，有一份进行中的商城分期，今晚到期一期",
            "Shops in the app; a contract with the mall is running, one instalment is due tonight",
        ),
        email="liu.yang@example.com",
        age=38,
        student=False,
        real_name_verified=True,
        account_days=1100,
        tier=3,
        limit_minor=2_000_000,
        card=Card("tingchao", "credit"),
        last_used_family="mall",
        channel="app",
        # Agreed on 23 September: October's instalment is paid, November's is due on the demo's first evening.
        history=(PastPurchase("M-20260923-1420", "cg-lite", "mall_6", _at(2026, 9, 23), 1),),
    ),
)


def _of_the_year(ref: str, name: Text, about: Text, email: str) -> Person:
    return Person(
        external_ref=ref,
        name=name,
        about=about,
        email=email,
        age=33,
        student=False,
        real_name_verified=True,
        account_days=800,
        tier=3,
        limit_minor=2_000_000,
        card=Card("tingchao", "credit"),
        last_used_family="mall",
    )


YEAR_PEOPLE: Final = (
    _of_the_year(
        "year_autopay",
        Text("何佳", "He Jia"),
        Text(
            "每期自动还款，其中一期余额不足",
            "Pays by mandate each month; one month there is not enough money",
        ),
        "he.jia@example.com",
    ),
    _of_the_year(
        "year_return",
        Text("孙悦", "Sun Yue"),
        Text("买了两部手机，退了一部", "Bought two phones and sends one back"),
        "sun.yue@example.com",
    ),
    _of_the_year(
        "year_payoff",
        Text("吴迪", "Wu Di"),
        Text("第五个月提前结清", "Pays everything off in the fifth month"),
        "wu.di@example.com",
    ),
    _of_the_year(
        "year_late",
        Text("郑凯", "Zheng Kai"),
        Text("有两期没按时还，后来补上", "Misses two instalments, and makes up for them"),
        "zheng.kai@example.com",
    ),
    _of_the_year(
        "year_rent",
        Text("冯琳", "Feng Lin"),
        Text("租了一部手机，租满后买下", "Rents a phone, and buys it at the end"),
        "feng.lin@example.com",
    ),
)
"""Whose contracts run through the demo's year (`fenqi_server.demo.year`). They shop once the year has begun."""
PERSON_BY_REF: Final = {person.external_ref: person for person in (*PEOPLE, *YEAR_PEOPLE)}


def shop_facts(person: Person) -> dict[str, FactValue]:
    """What the shop tells of a signed-in customer, as facts of the vocabulary.

    Not in it, since Fenqi knows them itself: the line and what is left of it, arrears, consents.

    >>> facts = shop_facts(PERSON_BY_REF["student"])
    >>> facts["customer.age"], facts["card.kind"]
    (17, 'debit')
    """
    facts: dict[str, FactValue] = {
        "customer.signed_in": True,
        "customer.age": person.age,
        "customer.student": person.student,
        "customer.real_name_verified": person.real_name_verified,
        "customer.account_days": person.account_days,
        "customer.tier": person.tier,
    }
    if person.card is not None:
        facts["card.bank"] = person.card.bank
        facts["card.kind"] = person.card.kind
    return facts


def funder_answers(person: Person, at: int) -> dict[str, FactValue]:
    """What each funder has answered about the customer by an instant (epoch seconds), as facts.

    Only funders that the customer agreed to are ever asked.
    """
    facts: dict[str, FactValue] = {}
    for assessment in person.assessments:
        if assessment.funder not in person.consents:
            continue
        name = f"funder.{assessment.funder}.prequal"
        answer = assessment.answer
        if assessment.until is not None:
            deadline = to_epoch(assessment.until)
            if at < deadline:
                facts[f"{name}_deadline"] = deadline
            elif assessment.then is not None:
                answer = assessment.then
        facts[name] = answer
    return facts
