"""A publication under load: several processes, hundreds of requests a second, and no answer that is made of two policies."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from dataclasses import dataclass
from datetime import timedelta

import msgspec
import pytest
from tests.api.world import GROWN_UP, demo_snapshot

from fenqi.policy.snapshot import Rule, Selector, Window
from fenqi.texts import Text

PER_SECOND = 200
CLIENTS = 8
SECONDS = 7.0
PUBLISHED_AFTER = 3.0
SEEN_WITHIN = 1.0
STOPPED = ("mall_3", "cloudpay_12")
"""Plans of two families and two funders: an answer made of two policies would have one of them without the other."""
NAMES = {"mall": Text("乙商城分期", "B-Mall instalments"), "cloudpay": Text("乙云钱包分期", "B-CloudPay")}


@dataclass(frozen=True)
class Answer:
    asked_at: float
    status: int
    policy: str
    """The digest, or which of the two names a page shows."""
    whole: bool
    page: bool


def _after():
    """The demo's policy with two plans stopped and two families renamed."""
    snapshot = demo_snapshot()
    stops = tuple(
        Rule(
            id=f"strategy.switch.{plan}",
            layer="strategy",
            owner="business",
            reason="STRATEGY_PAUSE",
            applies=Selector(plans=(plan,)),
            blocked=Window(start=0),
        )
        for plan in STOPPED
    )
    families = tuple(
        msgspec.structs.replace(family, name=NAMES.get(family.id, family.name))
        for family in snapshot.families
    )
    return msgspec.structs.replace(snapshot, rules=(*snapshot.rules, *stops), families=families)


class _Client(threading.Thread):
    """One connection that asks at its own pace, whatever the answers take, and notes each of them."""

    def __init__(self, server, mall, digests: tuple[str, str], begins: float, number: int) -> None:
        super().__init__()
        self.server, self.mall, self.digests = server, mall, digests
        self.begins, self.number = begins, number
        self.answers: list[Answer] = []

    def run(self) -> None:
        gap = CLIENTS / PER_SECOND
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=20)
        body = json.dumps(self.mall.body(facts=dict(GROWN_UP))).encode()
        turn = 0
        while True:
            due = self.begins + (self.number / CLIENTS + turn) * gap
            if due >= self.begins + SECONDS:
                break
            time.sleep(max(0.0, due - time.monotonic()))
            turn += 1
            asked_at = time.monotonic()
            page = turn % 10 == 0
            try:
                if page:
                    connection.request(
                        "GET", "/help/installments/?shop=mall", headers={"Accept-Language": "zh-CN"}
                    )
                else:
                    connection.request("POST", "/v1/evaluations", body, self.mall.headers())
                response = connection.getresponse()
                said = response.read()
            except OSError as problem:
                self.answers.append(Answer(asked_at, 0, repr(problem), False, page))
                connection.close()
                continue
            read = _page if page else _evaluation
            self.answers.append(read(asked_at, response.status, said, self.digests))


def _evaluation(asked_at: float, status: int, said: bytes, digests: tuple[str, str]) -> Answer:
    if status != 200:
        return Answer(asked_at, status, said[:200].decode(errors="replace"), False, False)
    found = json.loads(said)
    stopped = {
        line["plan"]
        for line in found["unavailable"]
        if any(reason["code"] == "STRATEGY_PAUSE" and line["plan"] in STOPPED for reason in line["reasons"])
    }
    expected = set(STOPPED) if found["policy"] == digests[1] else set()
    return Answer(
        asked_at, status, found["policy"], found["policy"] in digests and stopped == expected, False
    )


def _page(asked_at: float, status: int, said: bytes, digests: tuple[str, str]) -> Answer:
    if status != 200:
        return Answer(asked_at, status, said[:200].decode(errors="replace"), False, True)
    heads = dict(re.findall(r'id="way-([a-z_]+)-title">([^<]*)<', said.decode()))
    renamed = {family: heads.get(family) == name.zh_cn for family, name in NAMES.items()}
    known = all(heads.get(family, "").endswith(name.zh_cn[1:]) for family, name in NAMES.items())
    whole = known and len(set(renamed.values())) == 1
    return Answer(asked_at, status, digests[any(renamed.values())], whole, True)


@pytest.mark.committed_db
def test_no_request_fails_or_sees_two_policies_while_one_is_published(committed_mall, serve):
    from fenqi_server import clock
    from fenqi_server.policies import service as policies

    mall = committed_mall
    # The servers read the machine's own clock.
    day_before = clock.system_now() - timedelta(days=1)
    old = policies.publish(mall.shop, demo_snapshot(), day_before, "staff:ann").digest
    snapshot = _after()
    digests = (old, policies.digest(snapshot))
    server = serve(workers=2)
    begins = time.monotonic() + 0.3
    clients = [_Client(server, mall, digests, begins, number) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(max(0.0, begins + PUBLISHED_AFTER - time.monotonic()))
    asked_to_publish = time.monotonic()
    policies.publish(
        mall.shop, snapshot, clock.system_now(), "staff:ann", silent_reason="a test of the switch"
    )
    published = time.monotonic()
    for client in clients:
        client.join(60)

    answers = [answer for client in clients for answer in client.answers]
    failed = [answer for answer in answers if answer.status != 200]
    assert not failed, failed[:3]
    assert all(answer.whole for answer in answers), [a for a in answers if not a.whole][:3]
    # The load was there: most of what was to be asked was asked, before and after.
    assert len(answers) > 0.6 * PER_SECOND * SECONDS
    assert {answer.page for answer in answers} == {True, False}
    for page in (False, True):
        of_kind = [answer for answer in answers if answer.page == page]
        assert {a.policy for a in of_kind if a.asked_at < asked_to_publish - 1} == {digests[0]}
        assert {a.policy for a in of_kind if a.asked_at > published + SEEN_WITHIN} == {digests[1]}
