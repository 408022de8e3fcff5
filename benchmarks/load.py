"""A load on `POST /v1/evaluations`, or on `POST /v1/contracts/{id}/payments`, as a process of its own: N connections, each asking again as soon as it is answered.

One thread over a selector and requests prepared beforehand, so that it takes little of the core that it shares with
PostgreSQL. Prints what it measured as one JSON object. The key comes in `FENQI_BENCH_KEY`.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import socket
import sys
import time

CUSTOMERS = 64
PRICES = 32


def requests(key: str, host: str) -> list[bytes]:
    """The requests, ready to be sent: some thousand different carts of some dozen customers."""
    prepared: list[bytes] = []
    for number in range(CUSTOMERS * PRICES):
        body = json.dumps(
            {
                "lines": [
                    {
                        "sku": "phone",
                        "title": "Phone",
                        "category": "phones",
                        "kind": "goods",
                        "quantity": 1,
                        "unit_price_minor": 300_000 + number * 131 % 400_000,
                        "seller": "mall",
                    },
                    {
                        "sku": "case",
                        "title": "Case",
                        "category": "accessories",
                        "kind": "goods",
                        "quantity": 1 + number % 2,
                        "unit_price_minor": 9_900,
                        "seller": "mall",
                    },
                ],
                "currency": "CNY",
                "channel": "web",
                "customer": {"ref": f"bench-{number % CUSTOMERS}"},
                "last_used_family": "mall",
                "ship_to": "SH",
                "facts": {
                    "customer.age": 34,
                    "customer.student": False,
                    "customer.real_name_verified": True,
                    "customer.account_days": 800,
                    "customer.tier": 2,
                    "card.bank": "other",
                    "card.kind": "credit",
                },
            }
        ).encode()
        head = (
            f"POST /v1/evaluations HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nAccept: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        prepared.append(head.encode() + body)
    return prepared


def payments(key: str, host: str, contracts: int, first: int) -> list[bytes]:
    """A payment for each of so many copies of a contract (`benchmarks.repaying`), each with a key and a number of its own."""
    from uuid import UUID

    from benchmarks.repaying import FIRST_COPY
    from fenqi_server.ids import public_id

    prepared: list[bytes] = []
    for number in range(first, contracts):
        n = number * 7919 % contracts
        contract = public_id(
            "ct",
            UUID(f"10000000-0000-4000-8000-{FIRST_COPY + n}"),
            UUID(f"20000000-0000-4000-8000-{FIRST_COPY + n}"),
        )
        body = json.dumps(
            {"amount_minor": 53_600, "currency": "CNY", "kind": "received", "payment_ref": f"http-{n}"}
        ).encode()
        head = (
            f"POST /v1/contracts/{contract}/payments HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
            f"Idempotency-Key: http-{n}\r\nContent-Type: application/json\r\nAccept: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        prepared.append(head.encode() + body)
    return prepared


class Connection:
    """One connection with its answer so far."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.needed = -1
        self.body_at = 0
        self.asked_at = 0.0

    def ask(self, request: bytes) -> None:
        """Send the next request; the last was answered, so it fits the socket's buffer."""
        self.buffer.clear()
        self.needed = -1
        self.asked_at = time.perf_counter()
        self.socket.sendall(request)

    def answered(self) -> bool:
        """Take in what has arrived; whether it is the whole answer."""
        data = self.socket.recv(262_144)
        if not data:
            raise ConnectionError("the service closed a connection")
        self.buffer += data
        if self.needed < 0:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return False
            head = bytes(self.buffer[:end]).lower()
            at = head.find(b"content-length:")
            self.body_at = end + 4
            self.needed = 0 if at < 0 else self.body_at + int(head[at + 15 :].split(b"\r\n", 1)[0])
        if self.needed == 0:  # in chunks; a JSON text never holds the bare line ends that close the last one
            return self.buffer.endswith(b"\r\n0\r\n\r\n")
        return len(self.buffer) >= self.needed

    def body(self) -> bytes:
        """The whole answer's body."""
        data = bytes(self.buffer[self.body_at :])
        if self.needed:
            return data
        parts: list[bytes] = []
        while data:
            size, _, rest = data.partition(b"\r\n")
            parts.append(rest[: int(size, 16)])
            data = rest[int(size, 16) + 2 :]
            if size == b"0":
                break
        return b"".join(parts)


def main() -> int:
    """Warm up, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--warm-up", type=float, default=3.0, metavar="SECONDS")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument(
        "--payments", type=int, metavar="CONTRACTS", help="pay so many copies of a contract instead"
    )
    parser.add_argument(
        "--first", type=int, default=0, metavar="N", help="leave out those before it: they are paid"
    )
    arguments = parser.parse_args()
    key, host = os.environ["FENQI_BENCH_KEY"], f"{arguments.host}:{arguments.port}"
    prepared = (
        payments(key, host, arguments.payments, arguments.first)
        if arguments.payments
        else requests(key, host)
    )
    selector = selectors.DefaultSelector()
    next_request = 0
    for _ in range(arguments.connections):
        connection = Connection((arguments.host, arguments.port))
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.ask(prepared[next_request])
        next_request += 1
    began = time.perf_counter()
    measured_from, ends = began + arguments.warm_up, began + arguments.warm_up + arguments.seconds
    taken: list[float] = []
    answered = refused = 0
    last: dict[str, object] = {}
    now = began
    while now < ends:
        for key, _ in selector.select(1.0):
            connection = key.data
            if not connection.answered():
                continue
            now = time.perf_counter()
            answered += 1
            if not connection.buffer.startswith(b"HTTP/1.1 20"):
                refused += 1
                if refused == 1:
                    print(bytes(connection.buffer[:2000]).decode(errors="replace"), file=sys.stderr)
            elif now >= measured_from:
                taken.append(now - connection.asked_at)
            if answered == 1:
                body = json.loads(connection.body())
                if "offers" in body:
                    plans = len(body["offers"]) + len(body["unavailable"])
                    last = {
                        "plans": plans,
                        "blocked": len(body["unavailable"]),
                        "bytes": len(connection.body()),
                    }
                    last["quotes"] = sum(offer["quote"] is not None for offer in body["offers"])
            connection.ask(prepared[next_request % len(prepared)])
            next_request += 1
        now = time.perf_counter()
    taken.sort()
    result = {
        "requests_per_s": len(taken) / arguments.seconds,
        "p50_ms": taken[len(taken) // 2] * 1000 if taken else None,
        "p99_ms": taken[len(taken) * 99 // 100] * 1000 if taken else None,
        "answered": answered,
        "refused": refused,
        **last,
    }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
