"""Packs: each rule lets its allowed case pass and refuses the other, and a policy takes in just what it says it does."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import Any

import pytest

from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.conditions import Clause, parse_instant
from fenqi.policy.document import load_policy, read_policy
from fenqi.policy.pack_reading import cases_of, refuses, summary_of
from fenqi.policy.packs import Case, Pack, shipped_packs, stage_of
from fenqi.policy.snapshot import Rule, decode, encode, selects

SHANGHAI = "Asia/Shanghai"
AT = parse_instant("2026-11-27T12:00", SHANGHAI)

SHOP = """\
format: fenqi/policy@1
shop: {id: s, name: {zh-CN: 店, en: Shop}, time_zone: Asia/Shanghai, currency: CNY}
funders:
- {id: shop, name: {zh-CN: 店, en: Shop}, kind: shop, own_book: yes}
- {id: bank, name: {zh-CN: 银行, en: Bank}, kind: bank, decides: on_its_page}
families:
- {id: sale, funder: shop, name: {zh-CN: 分期, en: Instalments}, legal_form: instalment_sale}
- {id: loan, funder: bank, name: {zh-CN: 贷款, en: Loan}, legal_form: loan}
plans:
- {id: sale_12, family: sale, periods: 12, pricing: {kind: flat_fee, rate_per_period: 0.6%}}
- {id: loan_12, family: loan, periods: 12, pricing: {kind: annuity, annual_rate: 12%}}
notices:
- id: boxes
  title: {zh-CN: 盲盒, en: Blind boxes}
  reason: {zh-CN: 盲盒不支持分期。, en: Blind boxes are not sold on credit.}
  affected: {zh-CN: 盲盒, en: Blind boxes}
  unaffected: {zh-CN: 其他商品, en: Everything else}
  since: 2026-01-01
"""


@lru_cache
def stage(pack: Pack) -> Policy:
    loaded = load_policy(stage_of(pack))
    assert loaded.snapshot is not None, loaded.problems
    return compile_policy(loaded.snapshot)


def every_case() -> list[Any]:
    return [
        pytest.param(pack, case, id=f"{case.rule}-{'refused' if case.refused else 'allowed'}")
        for pack in shipped_packs().values()
        for case in cases_of(pack, stage(pack))
    ]


@pytest.mark.parametrize(("pack", "case"), every_case())
def test_every_rule_of_every_pack_refuses_the_one_case_and_lets_the_other_pass(
    pack: Pack, case: Case
) -> None:
    assert refuses(stage(pack), case, AT) is case.refused


@pytest.mark.parametrize("pack", shipped_packs().values(), ids=lambda pack: pack.id)
def test_every_rule_and_parameter_of_a_pack_says_where_it_comes_from(pack: Pack) -> None:
    summary = summary_of(pack)
    policy = stage(pack)
    for parameter in summary.parameters:
        assert parameter.source, parameter.id
    for rule in summary.rules:
        assert rule.source, rule.id
        assert not rule.date or date.fromisoformat(rule.date), rule.id
        made = [one for one in policy.rules if one.id == rule.id or one.id.startswith(f"{rule.id}.")]
        assert made, rule.id
        assert all(one.source and one.source.startswith(rule.source) for one in made)
        # What is unconfirmed, by itself or by a parameter, stays so in the policy.
        unread = not rule.confirmed or any(
            not parameter.confirmed for parameter in summary.parameters if parameter.id in rule.parameters
        )
        assert {one.unconfirmed for one in made} == {unread}, rule.id


def test_a_pack_survives_the_snapshots_encoding() -> None:
    snapshot = stage(shipped_packs()["cn-mainland"]).snapshot
    assert decode(encode(snapshot)) == snapshot
    assert snapshot.packs[0].id == "cn-mainland"


def taken(use: str) -> dict[str, Rule]:
    loaded = read_policy({"policy.yaml": SHOP + use})
    assert loaded.snapshot is not None, [str(problem) for problem in loaded.problems]
    return {rule.id: rule for rule in loaded.snapshot.rules}


def bound(rule: Rule) -> object:
    assert isinstance(rule.require, Clause)
    return rule.require.value


def test_optional_rules_are_off_and_the_rest_is_on() -> None:
    rules = taken("packs: [{id: cn-mainland}]")
    assert "cn.adult" in rules
    assert not [name for name in rules if name.startswith(("cn.private_cost", "cn.sale_periods"))]


def test_a_parameter_is_set_and_is_confirmed_by_who_sets_it() -> None:
    plain = taken("packs: [{id: cn-mainland}]")["cn.platform_cost"]
    assert (bound(plain), plain.unconfirmed) == (240_000_000_000, True)
    rules = taken("packs: [{id: cn-mainland, set: {platform_cost_cap: 20%, adult_age: 20}}]")
    assert bound(rules["cn.platform_cost"]) == 200_000_000_000
    assert bound(rules["cn.adult"]) == 20


def test_four_times_the_lpr_is_twelve_percent_from_its_day_and_follows_it() -> None:
    # LPR1Y 3.00 at the contract's date: 4 x 3.00 % = 12.0 % (market_cases.json, worked-lpr4).
    rules = taken("packs: [{id: cn-mainland, with: [cn.private_cost]}]")
    rule = rules["cn.private_cost.2026-04-20"]
    assert bound(rule) == 120_000_000_000
    assert rule.valid is not None
    assert (rule.valid.start, rule.valid.end) == (parse_instant("2026-04-20", SHANGHAI), None)
    # 4 x 3.45 % = 13.8 %
    rules = taken("packs: [{id: cn-mainland, with: [cn.private_cost], set: {lpr_1y: 3.45%}}]")
    assert bound(rules["cn.private_cost"]) == 138_000_000_000


def test_a_dated_parameter_makes_a_rule_for_each_of_its_times() -> None:
    rules = taken("packs: [{id: cn-mainland}]")
    first, second = rules["cn.microloan_cost.2025-12-01"], rules["cn.microloan_cost.2027-12-31"]
    turn = parse_instant("2027-12-31", SHANGHAI)
    assert first.valid is not None
    assert second.valid is not None
    assert (bound(first), first.valid.end) == (240_000_000_000, turn)
    assert (bound(second), second.valid.start, second.valid.end) == (120_000_000_000, turn, None)


def test_rules_are_left_out_linked_and_owned() -> None:
    rules = taken(
        "packs: [{id: cn-mainland, without: [cn.adult], notices: {cn.blind_box_no_credit: boxes}, owner: counsel}]"
    )
    assert "cn.adult" not in rules
    assert rules["cn.blind_box_no_credit"].notice == "boxes"
    assert {rule.owner for rule in rules.values()} == {"counsel"}


def test_a_rule_for_each_funder_is_about_that_funder() -> None:
    rules = taken("packs: [{id: cn-mainland}]")
    assert [name for name in rules if name.startswith("cn.consent.")] == ["cn.consent.bank"]
    assert bound(rules["cn.consent.bank"]) == frozenset({"bank"})


def test_a_wallets_loan_is_capped_and_asks_for_consent_like_its_lenders() -> None:
    loaded = read_policy(
        {"a.yaml": SHOP.replace("kind: bank,", "kind: wallet,") + "packs: [{id: cn-mainland}]\n"}
    )
    assert loaded.snapshot is not None, loaded.problems
    policy = compile_policy(loaded.snapshot)
    about = {rule.id for rule in policy.rules if selects(rule.applies, policy.plan("loan_12"))}
    assert {"cn.platform_cost", "cn.consent.bank"} <= about


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ("packs: [{id: cn-mainlnd}]", r"id is cn-mainlnd: not one of .*did you mean cn-mainland"),
        ("packs: [{id: cn-mainland}, {id: cn-mainland}]", "cn-mainland stands twice in packs"),
        ("packs: [{id: cn-mainland, version: 2020-01}]", "this Fenqi comes with cn-mainland 2026-11"),
        ("packs: [{id: cn-mainland, set: {adult_age: 18%}}]", "adult_age is 18%: not a whole number"),
        (
            "packs: [{id: cn-mainland, set: {adlt_age: 18}}]",
            "adlt_age is not a key of set.*did you mean adult_age",
        ),
        ("packs: [{id: cn-mainland, without: [cn.adlt]}]", "without is cn.adlt: .*did you mean cn.adult"),
        ("packs: [{id: cn-mainland, with: [cn.adult]}]", "with is cn.adult: not an optional rule"),
        (
            "packs: [{id: cn-mainland, notices: {cn.adult: nothing}}]",
            "notices.cn.adult is nothing: there is no such",
        ),
        # A notice is never about one customer: the age is personal.
        ("packs: [{id: cn-mainland, notices: {cn.adult: boxes}}]", "boxes"),
    ],
)
def test_a_pack_taken_in_wrongly_is_told_where(use: str, said: str) -> None:
    loaded = read_policy({"policy.yaml": SHOP + use})
    assert loaded.snapshot is None
    lines = [str(problem) for problem in loaded.problems]
    assert any(re.search(said, line) for line in lines), lines


def test_nothing_is_hard_wired_to_the_mainland() -> None:
    policy = stage(shipped_packs()["eu"])
    assert (policy.currency, policy.zone) == ("EUR", "Europe/Berlin")
    assert not any(rule.id.startswith("cn.") for rule in policy.rules)
