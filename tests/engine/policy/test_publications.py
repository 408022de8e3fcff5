"""What was in force when, by what was known when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenqi.policy.compile import Policy
from fenqi.policy.publications import NothingInForce, Publication, decide_over, in_force, in_order
from fenqi.policy.rollout import bucket_of
from fenqi.policy.snapshot import Selector

from .policies import DAY, HOUR, NOON, mall_policy, rule

OPEN = mall_policy()
SHUT = mall_policy(rule("shut", applies=Selector(all=True), when="cart.amount >= ¥1"))
LIMITED = mall_policy(rule("limited", applies=Selector(all=True), require="cart.amount <= ¥1,000"))
POLICIES = {policy.digest: policy for policy in (OPEN, SHUT, LIMITED)}
FACTS = {"cart.amount": 200_000}


def made(policy: Policy, begins: int, recorded: int | None = None, **more: object) -> Publication:
    recorded = begins if recorded is None else recorded
    return Publication(digest=policy.digest, valid_from=begins, recorded_at=recorded, actor="ann", **more)  # type: ignore[arg-type]


def offered(
    log: list[Publication], valid_at: int, known_at: int | None = None, subject: str | None = None
) -> bool:
    return decide_over(log, POLICIES.__getitem__, FACTS, valid_at, known_at, subject=subject)[
        "mall_3"
    ].offered


def test_a_planned_change_is_known_before_it_holds_and_holds_when_it_begins() -> None:
    log = [made(OPEN, NOON), made(SHUT, NOON + DAY, NOON + HOUR)]
    # As of the present: open until tomorrow noon, shut from then on.
    assert [offered(log, at) for at in (NOON, NOON + DAY - 1, NOON + DAY)] == [True, True, False]
    # Before it was recorded nobody knew of it: asked then about the day after tomorrow, the answer was yes.
    assert offered(log, NOON + 2 * DAY, NOON + HOUR - 1)
    assert not offered(log, NOON + 2 * DAY, NOON + HOUR)


def test_an_urgent_change_holds_until_the_next_planned_one() -> None:
    log = [made(OPEN, NOON), made(LIMITED, NOON + DAY, NOON), made(SHUT, NOON + HOUR)]
    assert [offered(log, NOON + delay) for delay in (0, HOUR)] == [True, False]
    found = in_force(in_order(log), NOON + DAY)
    assert found is not None
    assert found.digest == LIMITED.digest


def test_rolling_back_publishes_an_old_digest_again() -> None:
    log = [made(OPEN, NOON), made(SHUT, NOON + HOUR), made(OPEN, NOON + 2 * HOUR)]
    assert [offered(log, NOON + delay * HOUR) for delay in (0, 1, 2)] == [True, False, True]
    # What was answered in between stays what it was.
    assert not offered(log, NOON + HOUR, NOON + 3 * HOUR)


def test_of_two_that_begin_together_the_one_recorded_last_is_in_force() -> None:
    log = [made(SHUT, NOON + DAY, NOON + 1), made(OPEN, NOON + DAY, NOON)]
    assert not offered(log, NOON + DAY)
    assert offered(log, NOON + DAY, NOON)


def test_a_share_has_it_first() -> None:
    log = [made(OPEN, NOON), made(SHUT, NOON + HOUR, percent=20, salt="spring")]
    for number in range(200):
        inside = bucket_of("spring", str(number)) < 2_000
        assert offered(log, NOON + HOUR, subject=str(number)) is not inside
    assert offered(log, NOON + HOUR)


def test_before_the_first_there_is_no_answer() -> None:
    with pytest.raises(NothingInForce, match=f"no policy was in force at {NOON - 1}: the log begins later"):
        offered([made(OPEN, NOON)], NOON - 1)
    with pytest.raises(NothingInForce, match=f"as known at {NOON - 1}"):
        offered([made(OPEN, NOON)], NOON, NOON - 1)


def test_the_clock_is_that_of_the_instant_asked_about() -> None:
    night = mall_policy(rule("night", applies=Selector(all=True), when="clock.time in 22:00..23:00"))
    log = [made(night, NOON)]
    verdicts = decide_over(log, lambda name: night, {**FACTS, "clock.now": NOON}, NOON + 10 * HOUR)
    assert not verdicts["mall_3"].offered


# --- any log ------------------------------------------------------------------------------------------------------

publications = st.builds(
    lambda name, begins, recorded, percent: Publication(
        digest=name, valid_from=begins, recorded_at=recorded, actor="ann", percent=percent, salt=name
    ),
    st.sampled_from("abc"),
    st.integers(0, 12),
    st.integers(0, 12),
    st.sampled_from((100, 100, 30)),
)
logs = st.lists(publications, max_size=8)
instants = st.integers(-1, 14)
subjects = st.sampled_from((None, "x", "y", "z"))


def by_hand(log: list[Publication], valid_at: int, known_at: int, subject: str | None) -> str | None:
    """The rule of the page, told once more: of those recorded and begun that are for this one, the last to begin, then to be
    recorded, then to stand in the log."""
    best: tuple[int, int, int] | None = None
    answer = None
    for place, each in enumerate(log):
        mine = each.percent == 100 or (
            subject is not None and bucket_of(each.salt, subject) < each.percent * 100
        )
        key = (each.valid_from, each.recorded_at, place)
        if (
            each.recorded_at <= known_at
            and each.valid_from <= valid_at
            and mine
            and (best is None or key > best)
        ):
            best, answer = key, each.digest
    return answer


@given(logs, instants, instants, subjects)
def test_it_is_what_the_rule_says(
    log: list[Publication], valid_at: int, known_at: int, subject: str | None
) -> None:
    found = in_force(in_order(log), valid_at, known_at, subject)
    assert (None if found is None else found.digest) == by_hand(log, valid_at, known_at, subject)


@given(logs, publications, instants, instants, subjects)
def test_what_is_recorded_later_changes_nothing_that_was_known(
    log: list[Publication], later: Publication, valid_at: int, known_at: int, subject: str | None
) -> None:
    before = in_force(in_order(log), valid_at, known_at, subject)
    if later.recorded_at > known_at:
        assert in_force(in_order([*log, later]), valid_at, known_at, subject) == before


@given(logs, instants, subjects)
def test_all_that_is_known_is_what_is_known_at_the_end(
    log: list[Publication], valid_at: int, subject: str | None
) -> None:
    assert in_force(in_order(log), valid_at, 99, subject) == in_force(in_order(log), valid_at, None, subject)


@given(logs, publications, instants)
def test_a_publication_for_everybody_that_begins_last_is_in_force(
    log: list[Publication], last: Publication, at: int
) -> None:
    begins = max([each.valid_from for each in log], default=0) + 1
    whole = Publication(digest="last", valid_from=begins, recorded_at=99, actor="ann")
    found = in_force(in_order([*log, whole]), max(at, begins), None, "x")
    assert found == whole
