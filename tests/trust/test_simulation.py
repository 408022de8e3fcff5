"""200,000 steps of simulated lives, without a break and with every path walked."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import get_args

import pytest
from tests.trust.simulation import FORMS, NOT_YET, Break, Reached, holds, simulate

from fenqi.contracts.events import Event
from fenqi.ledger.entries import POSTINGS

pytestmark = pytest.mark.no_db
ROOT = Path(__file__).parents[2]


SEEDS = ("1", "2", "3", "4")
LEAST = 20
"""How often every path is walked in the 200,000 steps, at least."""


def test_200_000_steps_break_nothing_and_reach_everything() -> None:
    with ProcessPoolExecutor(2) as pool:
        runs = list(pool.map(simulate, SEEDS, [50_000] * len(SEEDS)))
    assert sum(run.steps for run in runs) == 200_000
    fewest, where = sum((run.reached for run in runs), Reached()).fewest()
    assert fewest >= LEAST, f"{where}: reached {fewest} times"


def test_every_kind_of_event_is_simulated_or_named_as_not_yet() -> None:
    events = {kind for form in FORMS.values() for kind in form.events}
    assert events | {*NOT_YET} == {*get_args(Event)}
    assert not events & {*NOT_YET}
    assert all(NOT_YET.values()), "a reason for each"


def test_a_run_is_the_same_under_every_hash_seed() -> None:
    said = {
        subprocess.run(
            [
                sys.executable,
                "-c",
                "from tests.trust.simulation import simulate; print(simulate('5', 2_000).digest)",
            ],
            env={
                **os.environ,
                "PYTHONHASHSEED": hash_seed,
                "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
            },
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "4242")
    }
    (digest,) = said
    assert digest.strip() == simulate("5", 2_000).digest


def test_a_break_names_its_seed_and_the_shortest_beginning_that_shows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(POSTINGS, "principal_paid", (1010, 1110))
    with pytest.raises(Break) as broken:
        simulate("6", 2_000)
    told, said = broken.value.told, str(broken.value)
    assert "seed 6, contract" in said
    assert all(repr(event) in said for event in told)
    assert str(pickle.loads(pickle.dumps(broken.value))) == said, "it may come from another process"
    assert not holds(broken.value.terms, told)
    assert holds(broken.value.terms, told[:-1])


@pytest.mark.campaign
def test_10_000_000_steps_break_nothing() -> None:
    seeds = [f"campaign {number}" for number in range(100)]
    with ProcessPoolExecutor() as pool:
        runs = list(pool.map(simulate, seeds, [100_000] * len(seeds)))
    assert sum(run.steps for run in runs) == 10_000_000
    fewest, where = sum((run.reached for run in runs), Reached()).fewest()
    assert fewest >= 25 * LEAST, f"{where}: reached {fewest} times"
