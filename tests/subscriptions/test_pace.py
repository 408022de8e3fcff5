"""No more messages a minute than the shop's pace, however long the worker was away."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.test import override_settings
from tests.api.world import AT


@pytest.mark.parametrize("per_minute", [1, 7, 60, 600, 6_000])
def test_in_no_minute_go_more_than_the_setting_says(mall, per_minute):
    from fenqi_server.subscriptions import pace

    taken = []
    with override_settings(FENQI_NOTIFY_PER_MINUTE=per_minute):
        for tenth in range(1_800):
            now = AT + timedelta(seconds=tenth / 10)
            with transaction.atomic():
                taken += [now] * pace.take(mall.shop, 1_000, now)
    for start in range(0, len(taken), max(1, len(taken) // 200)):
        within = [at for at in taken if taken[start] <= at < taken[start] + timedelta(seconds=60)]
        assert len(within) <= per_minute
    # And it is used: three minutes bring about three minutes' worth.
    assert len(taken) >= 3 * per_minute * 0.9 - 2


def test_a_worker_that_was_away_for_an_hour_does_not_make_up_for_it(mall):
    from fenqi_server.subscriptions import pace

    with override_settings(FENQI_NOTIFY_PER_MINUTE=600), transaction.atomic():
        first = pace.take(mall.shop, 10_000, AT)
        again = pace.take(mall.shop, 10_000, AT + timedelta(hours=1))
    assert 0 < first <= 10
    assert 0 < again <= 10


def test_places_that_nobody_needed_are_there_for_the_next(mall):
    from fenqi_server.subscriptions import pace

    with override_settings(FENQI_NOTIFY_PER_MINUTE=600), transaction.atomic():
        granted = pace.take(mall.shop, 5, AT)
        pace.give_back(mall.shop, granted)
        assert pace.take(mall.shop, 5, AT) == granted == 5


def test_each_shop_has_its_own_pace(mall):
    from tests.api.world import make_world

    from fenqi_server.subscriptions import pace

    other = make_world("other")
    with override_settings(FENQI_NOTIFY_PER_MINUTE=600), transaction.atomic():
        from fenqi_server.db import use_shop

        use_shop(mall.shop.id)
        mine = pace.take(mall.shop, 100, AT)
        use_shop(other.shop.id)
        assert pace.take(other.shop, 100, AT) == mine
