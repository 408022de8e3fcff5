"""Every decision that a test recorded is decided again at the test's end, and has to come out as it was recorded."""

from __future__ import annotations


def assert_decisions_replay() -> int:
    """Replay all decisions of all shops of the test's database; how many there were."""
    from django.db import connection

    from fenqi_server.decisions import log, replay
    from fenqi_server.shops.models import Shop

    if connection.in_atomic_block and connection.needs_rollback:
        return 0  # the test ends in a transaction that failed on purpose: nothing can be read there
    log.flush()
    replayed = 0
    for shop in Shop.objects.all():
        for found in replay.replay_all(shop):
            replayed += 1
            assert found.identical, (
                f"{found.decision} ({found.source}) does not replay: {found.fault or found.differences}"
            )
    return replayed
