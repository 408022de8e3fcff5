"""A word in a vector of schedules that the runner does not know fails that vector, by name."""

from __future__ import annotations

import json

import pytest
from tests.vectors.schedules import check_schedule
from tests.vectors.test_vectors import OURS


@pytest.mark.parametrize(
    ("term", "word"),
    [
        ("profile", "fineract-hybrid"),
        ("rounding", "CEILING"),
        ("amortization", "EQUAL_PRINCIPAL"),
        ("interest_method", "RULE_OF_78"),
        ("interest_calc_period", "WEEKLY"),
        ("unit", "YEARS"),
        ("days_in_month", "31"),
        ("days_in_year", "366"),
        ("year_split_at", "JUN30"),
        ("leap_rule", "FEB_29_NEVER"),
        ("rate_period", "DAY"),
        ("schedule_starts_on", "APPROVED"),
        ("recalc_rest", "WEEKLY"),
        ("currency_decimals", 3),
        ("fixed_length_days", 90),
    ],
)
def test_an_unknown_word_fails_by_name(term: str, word: object) -> None:
    content = json.loads((OURS / "servicing.json").read_text(encoding="utf-8"))
    vector = next(vector for vector in content["vectors"] if vector["id"] == "S040")
    check_schedule(vector)
    vector["terms"][term] = word
    with pytest.raises(pytest.fail.Exception, match=rf"^{term} is {word!r}"):
        check_schedule(vector)


def test_what_happens_before_the_schedule_and_is_not_known_fails_by_name() -> None:
    content = json.loads((OURS / "servicing.json").read_text(encoding="utf-8"))
    vector = next(vector for vector in content["vectors"] if vector["id"] == "S040")
    vector["events"].insert(2, {"op": "pay", "date": "2025-01-21", "amount": "1"})
    with pytest.raises(pytest.fail.Exception, match=r"^pay comes before the schedule"):
        check_schedule(vector)
