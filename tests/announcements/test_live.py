"""On the real server: what is published is seen on pages and in feeds within five seconds."""

from __future__ import annotations

import http.client
import time
from typing import Any

from tests.announcements.policies import changed_notice
from tests.api.world import demo_snapshot

from fenqi.texts import Text

NAME = "beichen-24-pause"
PATHS = (
    "/announcements/",
    f"/announcements/{NAME}/",
    "/announcements/feed.atom",
    "/announcements/feed.rss",
    "/announcements/feed.json",
    "/announcements/feed.ics",
    f"/v1/announcements/{NAME}",
)
SECONDS = 5.0


def _get(server: Any, path: str, **headers: str) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    connection.request("GET", path, headers={"Accept-Language": "zh-CN", **headers})
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), dict(answer.headers)


def test_a_publication_is_seen_on_pages_and_in_feeds_within_five_seconds(committed_db, serve):
    from tests.api.world import make_world

    from fenqi_server import clock
    from fenqi_server.policies import service as policies

    now = clock.system_now()
    mall = make_world(at=now)
    server = serve()
    etags = {path: _get(server, path)[2].get("ETag") for path in PATHS}
    word = "新的说法甲乙丙"
    policies.publish(
        mall.shop,
        changed_notice(
            demo_snapshot(), NAME, title=Text(word, "Said anew"), until=int(now.timestamp()) + 86_400
        ),
        clock.system_now(),
        "staff:ann",
        silent_reason="a test",
    )
    began, waiting = time.monotonic(), set(PATHS)
    while waiting and time.monotonic() - began < SECONDS:
        for path in sorted(waiting):
            etag = etags[path]
            status, body, _ = _get(server, path, **({"If-None-Match": etag} if etag else {}))
            # A long line of a calendar is folded in the middle of the word.
            if status == 200 and word in body.replace("\r\n ", ""):
                waiting.remove(path)
    assert not waiting, f"not seen within {SECONDS} s on {waiting}"
