"""A mall whose mail goes to a real server on this machine, and whose addresses are https."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.api.fixtures import *  # noqa: F403  # the fixtures are shared by the folders beside this one


@pytest.fixture
def post() -> Iterator[Any]:
    """The mail server's box, with the installation set to it."""
    from django.test import override_settings
    from tests.subscriptions.servers import Post

    with (
        Post() as server,
        override_settings(
            FENQI_SMTP_URL=server.url,
            FENQI_ORIGIN="https://pay.example.com",
            FENQI_NOTIFY_PER_MINUTE=60_000,
            FENQI_DECISION_LOG="direct",
        ),
    ):
        yield server.box


@pytest.fixture
def follow(mall: Any, post: Any) -> Callable[..., Any]:
    """`follow("ann@example.com", families=("mall",))`: an address that has subscribed and confirmed."""
    from tests.api.world import AT

    from fenqi_server.policies import service as policies
    from fenqi_server.subscriptions import queue, subscription

    def start(address: str, *, locale: str = "en", quiet: bool = True, at: Any = AT, **scope: Any) -> Any:
        made = subscription.subscribe(
            mall.shop,
            policies.current(mall.shop.id, at),
            "email",
            address,
            locale,
            subscription.Scope(**scope),
            at,
            quiet=quiet,
        )
        queue.deliver_due(at)
        post.mails.clear()
        return subscription.confirm(mall.shop, made.subscription, at)

    return start


@pytest.fixture
def settled(mall: Any) -> None:
    """The revisions of the mall's first policy are fanned out, to nobody."""
    from tests.api.world import AT

    from fenqi_server.subscriptions import fanout

    fanout.expand_due(AT)
