"""A collector that moves no money, for the demo and for tests: the tool's token says what it does, debit by debit.

| A word of the token | The debit |
|---|---|
| `ok` | is collected |
| `insufficient` | fails: not enough money |
| `expired` | fails: the card has expired |
| `timeout-collected` | gives no answer; asked later, it was collected |
| `timeout-failed` | gives no answer; asked later, it had failed |
| `silent` | gives no answer, and none later |

`pretend:ok,insufficient,ok` collects the first debit, fails the second, and collects the third and every one after it. Any other
token is always collected.
"""

from __future__ import annotations

from typing import Final

from fenqi_server.autopay.collectors import Answer, Ask, NotAnswered

__all__ = ["PREFIX", "WORDS", "PretendCollector"]

PREFIX: Final = "pretend:"
WORDS: Final = {
    "ok": Answer("collected"),
    "insufficient": Answer("failed", "insufficient_funds"),
    "expired": Answer("failed", "tool_expired"),
    "timeout-collected": Answer("collected"),
    "timeout-failed": Answer("failed", "insufficient_funds"),
    "silent": Answer("unknown"),
}


def _word(ask: Ask) -> str:
    if not ask.tool.token.startswith(PREFIX):
        return "ok"
    words = ask.tool.token.removeprefix(PREFIX).split(",")
    return words[min(ask.nth, len(words) - 1)]


class PretendCollector:
    """Does what the token says."""

    def collect(self, ask: Ask) -> Answer:
        """The first answer to a debit.

        >>> from fenqi_server.autopay.mandates import Tool
        >>> tool = Tool("pretend:ok,insufficient", "UnionPay", "4242")
        >>> [PretendCollector().collect(Ask(key="", tool=tool, amount_minor=1, currency="CNY", nth=n)).result for n in (0, 1, 2)]
        ['collected', 'failed', 'failed']
        """
        word = _word(ask)
        if word.startswith("timeout-") or word == "silent":
            raise NotAnswered("the pretend provider took too long")
        return WORDS[word]

    def query(self, ask: Ask) -> Answer:
        """What became of it."""
        return WORDS[_word(ask)]
