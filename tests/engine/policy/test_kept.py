"""What was published keeps its name and its answers: old snapshots, old digests, old records.

`kept/` holds a policy as it was before agreements had versions; the digests and the answers below were worked out by the
code of that day. Whatever the language learns, they stay.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from random import Random

import msgspec
import pytest
from tests.engine.policy.policies import random_value

from fenqi.checkout.evaluation import evaluate
from fenqi.checkout.request import CheckoutRequest, Line
from fenqi.policy.compile import Policy, compile_policy
from fenqi.policy.document import load_policy
from fenqi.policy.facts import FactValue
from fenqi.policy.snapshot import Snapshot, decode, digest, encode
from fenqi.policy.verdict import decide

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
NOON = 1795406400  # 2026-11-23 12:00 in Shanghai
KEPT = {
    HERE / "kept": "sha256:5174c5c965583e1e710a78a26284f5850b2b4140da8f786b2230c0faf7eb406f",
    ROOT / "examples/policy": "sha256:97165435b8a37dbbc81bfd5cf12ec2e31da9b09b5171d55600583454c0b347fd",
    ROOT / "benchmarks/policy": "sha256:0d4d79fe522c4d6c974045469aaecfb3890fa9a3fe0b47b69fdbeaf2b4abd0bc",
}
VERDICTS = "519bafe64ca7dcd56d88213bd277ce20184b5222dea3373bf8309635c51a931a"
EVALUATIONS = "705b62ef3138ea082a2d08bdf9c81b05df624a84bbeb6095b8c243aa1f0c29a8"
# Facts that the vocabulary had on that day.
NAMES = (
    "card.bank",
    "card.kind",
    "customer.account_check",
    "customer.account_days",
    "customer.age",
    "customer.consents",
    "customer.overdue",
    "customer.real_name_verified",
    "customer.signed_in",
    "customer.student",
    "customer.tier",
    "funder.beichen.health",
    "funder.cloudpay.health",
    "funder.hean.health",
    "funder.hean.prequal",
    "funder.tingchao.health",
    "limit.mall",
    "limit.mall_available",
)


def snapshot_in(folder: Path) -> Snapshot:
    loaded = load_policy(folder)
    assert loaded.snapshot is not None, loaded.problems
    return loaded.snapshot


@pytest.mark.parametrize("folder", KEPT, ids=lambda folder: folder.name)
def test_a_policy_keeps_its_name(folder: Path) -> None:
    assert digest(snapshot_in(folder)) == KEPT[folder]


def test_a_snapshot_that_was_stored_is_read_as_the_same() -> None:
    snapshot = snapshot_in(HERE / "kept")
    assert decode(encode(snapshot)) == snapshot


def chances(policy: Policy) -> list[tuple[dict[str, FactValue], Random]]:
    found = []
    for seed in range(300):
        chance = Random(seed)
        facts: dict[str, FactValue] = {}
        for name in NAMES:
            if chance.random() < 0.8:
                fact = policy.vocabulary[name]
                if fact.name.endswith("health"):
                    facts[name] = chance.choice(["up", "degraded", "down"])
                elif fact.name == "customer.age":
                    facts[name] = chance.randint(14, 40)
                elif fact.type == "money":
                    facts[name] = chance.choice([0, 300_000, 2_000_000])
                else:
                    facts[name] = random_value(fact, chance)
        found.append((facts, chance))
    return found


def test_old_records_are_answered_as_they_were() -> None:
    policy = compile_policy(snapshot_in(HERE / "kept"))
    whole = hashlib.sha256()
    for facts, chance in chances(policy):
        known = {
            **facts,
            "clock.now": NOON + chance.randint(-40, 40) * 3600,
            "cart.amount": chance.choice([10_000, 100_000, 499_900, 3_000_000]),
            "cart.has_coupon": chance.random() < 0.3,
            "cart.kinds": frozenset({"goods"}),
            "channel.kind": chance.choice(["web", "app"]),
        }
        for verdict in decide(policy, known).values():
            whole.update(msgspec.json.encode(verdict, order="sorted"))
    assert whole.hexdigest() == VERDICTS


def test_old_requests_are_answered_as_they_were() -> None:
    policy = compile_policy(snapshot_in(HERE / "kept"))
    whole = hashlib.sha256()
    for facts, chance in chances(policy):
        price = chance.choice([10_000, 100_000, 499_900, 3_000_000])
        request = CheckoutRequest(
            (Line("p", "Phone", "phones", chance.choice(["goods", "blind_box"]), 1, price, "mall"),),
            "CNY",
            chance.choice(["web", "app"]),
            NOON + chance.randint(-40, 40) * 3600,
            facts,
        )
        evaluation = evaluate(policy, request)
        whole.update(str(evaluation.valid_until).encode())
        for option in evaluation.options:
            whole.update(
                msgspec.json.encode([option.plan, option.verdict, option.alternatives], order="sorted")
            )
    assert whole.hexdigest() == EVALUATIONS
