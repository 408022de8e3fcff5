from __future__ import annotations

import hashlib
import time
from random import Random

import msgspec
import pytest

from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.conditions import Clause, Members, evaluate_plain
from fenqi.policy.document import read_policy
from fenqi.policy.facts import FactValue
from fenqi.policy.reasons import reason_texts
from fenqi.policy.sets import MAX_MEMBERS, MissingSet, decode_members, digest_of, encode_members
from fenqi.policy.snapshot import Snapshot, decode, digest, encode
from fenqi.policy.verdict import decide

from .policies import NOON
from .test_document import SHOP

RULES = """\
facts:
- {name: merchant.id, type: text, source: cart, label: {zh-CN: 商户, en: seller}}
- {name: cart.tags, type: set, source: cart, label: {zh-CN: 商品, en: items}}
sets:
- {id: banned, label: {zh-CN: 禁售商品, en: Banned items}}
rules:
- id: vip
  layer: strategy
  owner: me
  reason: STRATEGY_PAUSE
  applies: {plan: mall_3}
  require: merchant.id in set vip_merchants
- id: items
  layer: compliance
  owner: me
  reason: ITEM_BLIND_BOX
  applies: {plan: mall_12}
  require: cart.tags has none of set banned
- id: blocked
  layer: risk
  owner: me
  reason: ACCOUNT_RISK
  applies: {plan: card}
  when: {not: merchant.id not in set vip_merchants}
  unknown: allow
"""
VIP = "# our best sellers\nm-1\nm-2\n\n  m-3  \n"
BANNED = "knife\ngold\n"
FILES = {"shop.yaml": SHOP, "rules.yaml": RULES, "sets/vip_merchants.txt": VIP, "x/sets/banned.txt": BANNED}


def policy_of(files: dict[str, str] = FILES) -> Policy:
    result = read_policy(files)
    assert result.problems == ()
    assert result.snapshot is not None
    return compile_policy(result.snapshot, result.sets)


def problems(**files: str) -> list[str]:
    named = {
        name.replace("__", "/") + (".yaml" if "__" not in name else ".txt"): text
        for name, text in files.items()
    }
    return [str(problem) for problem in read_policy({**FILES, **named}).problems]


def test_a_snapshot_names_its_sets_by_their_digest_and_does_not_hold_them() -> None:
    policy = policy_of()
    snapshot = policy.snapshot
    # By hand: the members in order, each on a line of its own.
    vip = "sha256:" + hashlib.sha256(b"m-1\nm-2\nm-3\n").hexdigest()
    assert [(info.name, info.count, info.digest == vip) for info in snapshot.sets] == [
        ("vip_merchants", 3, True),
        ("banned", 2, False),
    ]
    assert snapshot.rules[0].require == Clause("merchant.id", "in", members=Members("vip_merchants", vip))
    assert b"m-1" not in encode(snapshot)
    assert decode(encode(snapshot)) == snapshot
    # Another member, another name of the policy; other words beside the members, the same.
    more = policy_of({**FILES, "sets/vip_merchants.txt": VIP + "m-4\n"})
    assert more.digest != policy.digest
    assert policy_of({**FILES, "sets/vip_merchants.txt": "m-3\nm-2\n# sorted\nm-1"}).digest == policy.digest


@pytest.mark.parametrize(
    ("facts", "offered"),
    [
        ({"merchant.id": "m-2", "cart.tags": frozenset({"pen"})}, {"mall_3", "mall_12"}),
        ({"merchant.id": "m-9", "cart.tags": frozenset({"pen", "gold"})}, {"card"}),
        ({"merchant.id": "m-3", "cart.tags": frozenset()}, {"mall_3", "mall_12"}),
        ({}, {"card"}),
    ],
)
def test_a_set_is_asked_like_a_list(facts: dict[str, FactValue], offered: set[str]) -> None:
    verdicts = decide(policy_of(), {"clock.now": NOON, **facts})
    assert {plan for plan in ("mall_3", "mall_12", "card") if verdicts[plan].offered} == offered


def test_what_is_in_the_way_is_told_and_not_the_whole_set() -> None:
    policy = policy_of()
    verdicts = decide(
        policy, {"clock.now": NOON, "merchant.id": "m-9", "cart.tags": frozenset({"pen", "gold"})}
    )
    (clause,) = verdicts["mall_3"].reasons[0].clauses
    assert (clause.actual, clause.bound, clause.members) == ("m-9", None, "vip_merchants")
    (clause,) = verdicts["mall_12"].reasons[0].clauses
    assert (clause.bound, clause.members) == (frozenset({"gold"}), "banned")
    said = [
        reason_texts(policy, verdicts[plan].reasons[0], "agent", locale).clauses
        for plan in ("mall_3", "mall_12")
        for locale in ("en", "zh-CN")
    ]
    assert said == [
        ("seller: m-9; should be within the list “vip_merchants”",),
        ("商户：m-9，需在 名单“vip_merchants” 之内",),
        ("items: gold, pen; should include none of gold",),
        ("商品：gold、pen，不可含 gold",),
    ]


def test_a_set_that_is_not_brought_is_an_error_and_never_an_empty_one() -> None:
    policy = policy_of()
    vip, banned = (info.digest for info in policy.snapshot.sets)
    with pytest.raises(MissingSet, match=rf"sets.vip_merchants is not there: expected the 3 values of {vip}"):
        compile_policy(policy.snapshot)
    with pytest.raises(MissingSet, match=r"sets\.banned is not there"):
        compile_policy(policy.snapshot, {vip: policy.sets[vip]})
    with pytest.raises(MissingSet, match=r"sets\.banned is 1 values: expected the 2 values of"):
        compile_policy(policy.snapshot, {**policy.sets, banned: frozenset({"gold"})})
    # Without its members no clause is evaluated at all.
    require = policy.snapshot.rules[0].require
    assert require is not None
    with pytest.raises(ValueError, match="the set vip_merchants is not there"):
        evaluate_plain(require, {"merchant.id": "m-1"})
    assert evaluate_plain(require, {}) is None


def test_members_are_what_their_digest_names() -> None:
    encoded = encode_members({"b", "a", "汉"})
    assert encoded == b"a\nb\n\xe6\xb1\x89\n"
    assert decode_members(encoded, digest_of(encoded)) == {"a", "b", "汉"}
    with pytest.raises(MissingSet, match="expected the members that have this digest"):
        decode_members(encoded + b"c\n", digest_of(encoded))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb\na\n", "sets/vip_merchants.txt:3:1: a stands on line 1 already; keep one"),
        ("", "sets/vip_merchants.txt:1:1: the set is empty; write one value a line, or ask no rule about it"),
        ("a\n" + "x" * 101, "sets/vip_merchants.txt:2:1: the value has 101 letters; at most 100"),
        (
            "a\n\x00",
            "sets/vip_merchants.txt:2:1: the value holds something that cannot be printed; write one value a line",
        ),
        (
            "set vip_merchants\n",
            "sets/vip_merchants.txt:1:1: set vip_merchants: a set holds values, not other sets, nor itself; write its values "
            "out",
        ),
        (
            "\n".join(map(str, range(MAX_MEMBERS + 1))),
            f"sets/vip_merchants.txt:{MAX_MEMBERS + 1}:1: the set has more than 100000 values; make it a fact that somebody "
            "provides",
        ),
    ],
)
def test_what_is_wrong_with_a_set_is_told_with_its_line(text: str, expected: str) -> None:
    assert problems(sets__vip_merchants=text) == [expected]


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ("merchant.id in set vip", "vip is not a set: there is no file sets/vip.txt"),
        ("merchant.id in set ban", "ban is not a set: there is no file sets/ban.txt; did you mean banned?"),
        ("merchant.id in set", "merchant.id in set: ends where a set's name is expected"),
        (
            "cart.amount in set banned",
            "cart.amount is an amount of money, of which there is no set; write a value",
        ),
        (
            "card.bank in set banned",
            "card.bank is a name out of a list, of which there is no set; write the few values as a list: [a, b]",
        ),
        (
            "cart.kinds has none of set banned",
            "cart.kinds is a set of names, of which there is no set; write the few values as a list: [a, b]",
        ),
        (
            "cart.tags has all of set banned",
            "cart.tags would have to hold a whole set; write has any of set, or has none of set",
        ),
        ("merchant.id has any of set banned", "merchant.id is a text, not a set; use is or in"),
        (
            "items is yes",
            "items is a rule: a condition asks about facts, never about rules, tables or itself; write out what that asks",
        ),
        (
            "vip is yes",
            "vip is a rule: a condition asks about facts, never about rules, tables or itself; write out what that asks",
        ),
        (
            "banned is yes",
            "banned is a set: a condition asks about facts, never about rules, tables or itself; write a fact and in set banned",
        ),
    ],
)
def test_a_clause_about_a_set_is_checked(clause: str, expected: str) -> None:
    rules = RULES.replace("merchant.id in set vip_merchants", clause, 1)
    (problem, *_) = problems(rules=rules)
    assert problem.partition(": ")[2] == expected


def test_a_label_needs_its_file() -> None:
    assert problems(rules=RULES.replace("id: banned,", "id: bannd,")) == [
        "rules.yaml:5:8: bannd: there is no file sets/bannd.txt; did you mean banned?"
    ]


def test_a_set_that_nobody_asks_about_is_not_part_of_the_policy() -> None:
    policy = policy_of()
    assert policy_of({**FILES, "sets/unused.txt": "a\n"}).digest == policy.digest


def test_the_largest_set_is_one_look() -> None:
    names = [f"seller-{number:06}" for number in range(MAX_MEMBERS)]
    Random(7).shuffle(names)
    files = {**FILES, "sets/vip_merchants.txt": "\n".join(names)}
    policy = policy_of(files)
    snapshot = policy.snapshot
    assert snapshot.sets[0].count == MAX_MEMBERS
    assert len(encode(snapshot)) < 8_000
    encoded = encode_members(policy.sets[snapshot.sets[0].digest])
    began = time.perf_counter()
    members = decode_members(encoded, snapshot.sets[0].digest)
    assert time.perf_counter() - began < 0.2
    assert len(members) == MAX_MEMBERS
    assert decide(policy, {"clock.now": NOON, "merchant.id": "seller-012345"})["mall_3"].offered
    assert not decide(policy, {"clock.now": NOON, "merchant.id": "seller-100000"})["mall_3"].offered


def test_an_older_snapshot_has_no_sets() -> None:
    result = read_policy({"shop.yaml": SHOP})
    assert isinstance(result.snapshot, Snapshot)
    assert b"sets" not in encode(result.snapshot)
    assert digest(msgspec.structs.replace(result.snapshot, sets=())) == digest(result.snapshot)
