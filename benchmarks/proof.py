"""Proving a policy: sixty rules of which five have a fault."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from fenqi.checkout.evaluation import offer_facts
from fenqi.policy.compile import compile_policy
from fenqi.policy.document import load_policy
from fenqi.policy.proof import prove

__all__ = ["SEEDED", "prove_60"]

SEEDED = Path(__file__).parents[1] / "tests" / "engine" / "policy" / "seeded"


def prove_60() -> Iterator[dict[str, object]]:
    """Seconds from the files to all five faults, each with a case, the solver's start included."""
    began = time.perf_counter()
    loaded = load_policy(SEEDED)
    if loaded.rest is None:
        raise SystemExit("the policy of the measurement cannot be read")
    policy = compile_policy(loaded.rest, loaded.sets)
    proof = prove(policy, price=offer_facts)
    took = time.perf_counter() - began
    found = len(loaded.problems) + sum(bool(finding.witnesses) for finding in proof.defects)
    if found != 5 or proof.open:
        raise SystemExit(f"{found} faults found, {len(proof.open)} questions left open: expected 5 and 0")
    yield {
        "name": "prove_60",
        "value": round(took, 2),
        "unit": "s",
        "rules": len(policy.rules) + len(loaded.problems),
        "faults": found,
        "questions": proof.questions,
    }
