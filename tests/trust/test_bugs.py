"""Each money bug is found by the simulation: a bug that it does not find is a hole in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.trust.bugs import BUGS, STEPS, Bug, put_in
from tests.trust.simulation import Break, simulate

pytestmark = pytest.mark.no_db


def test_there_are_at_least_thirty_and_the_engine_without_them_breaks_nothing() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 30
    for form, steps in STEPS.items():
        simulate("bugs", steps, (form,))


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_a_bug_is_caught(bug: Bug, record_property: Callable[[str, object], None]) -> None:
    with put_in(bug), pytest.raises(Break) as broken:
        simulate("bugs", STEPS[bug.form], (bug.form,))
    record_property("caught_by", broken.value.oracle)
    print(f"{bug.name}: {broken.value.oracle}, by {len(broken.value.told)} events")
