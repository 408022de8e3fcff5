"""Proves the book, as the owner, in a process of its own: `python -m fenqi_server.proving` prints the report as JSON."""

from __future__ import annotations

import json

import django

__all__ = ["report"]


def report() -> dict[str, object]:
    """`{"ok": bool, "problems": [...]}` over the whole book, every shop's."""
    from django.db import connection

    from fenqi_server.books.proof import prove

    proved = prove(connection)
    return {"ok": proved.ok, "problems": [problem.sentence for problem in proved.problems]}


if __name__ == "__main__":
    django.setup()
    print(json.dumps(report(), ensure_ascii=False))
