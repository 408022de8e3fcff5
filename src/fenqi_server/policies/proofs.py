"""What is proven of a draft before anybody publishes it: plans that nobody is offered, rules that contradict, amounts without an offer.

It is there where the solver is (`pip install 'fenqi[check]'`), takes five seconds at the most, and keeps nobody from publishing: it
is for whoever writes and reviews, as simulation is.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

import msgspec

from fenqi.calendars import at_local, local_date, to_epoch
from fenqi.checkout.evaluation import offer_facts
from fenqi.policy.cases import NoSolver
from fenqi.policy.compile import Policy
from fenqi.policy.proof import Proof, ProofError, case_text, prove

__all__ = ["Fault", "Faults", "faults_of"]

TOTAL: Final = timedelta(seconds=4)
"""After that no question is asked any more; the last one may take its own limit."""
LIMIT_MS: Final = 500
_KEPT: Final = 64

_log = logging.getLogger(__name__)
_known: OrderedDict[tuple[str, int], Proof] = OrderedDict()


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong, in a sentence, and the cases that show it."""

    sentence: str
    cases: tuple[str, ...]


class Faults(msgspec.Struct, frozen=True):
    """`found`: what is wrong; `left_open`: what the time did not suffice for, in sentences."""

    found: tuple[Fault, ...]
    left_open: tuple[str, ...]


def faults_of(policy: Policy, at: datetime, locale: str) -> Faults | None:
    """What is proven wrong with a policy from the shop's day of `at` on; None where nothing can be proven here."""
    proof = _proof(policy, at)
    if proof is None:
        return None
    return Faults(
        found=tuple(
            Fault(
                finding.sentence.in_(locale),
                tuple(case_text(policy, finding, witness, locale) for witness in finding.witnesses),
            )
            for finding in proof.defects
        ),
        left_open=tuple(finding.sentence.in_(locale) for finding in proof.open),
    )


def _proof(policy: Policy, at: datetime) -> Proof | None:
    # One proof a day: who looks at the page again, or in the other language, does not wait again.
    today = at_local(local_date(at, policy.zone), 0, policy.zone)
    key = (policy.digest, today)
    known = _known.get(key)
    if known is not None:
        return known
    until = time.monotonic() + TOTAL.total_seconds()
    try:
        proof = prove(
            policy,
            start=today,
            near=to_epoch(at),
            limit_ms=LIMIT_MS,
            price=offer_facts,
            watch=lambda done, total: time.monotonic() < until,
        )
    except NoSolver:
        return None
    except ProofError:
        # A defect of ours, which keeps nobody from their draft.
        _log.exception("the proof of %s went wrong", policy.digest)
        return None
    _known[key] = proof
    while len(_known) > _KEPT:
        _known.popitem(last=False)
    return proof
