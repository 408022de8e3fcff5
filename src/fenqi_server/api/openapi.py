"""The OpenAPI 3.1 document, made from the types that check the requests."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from dmr.openapi import OpenAPIConfig, build_schema
from dmr.openapi.objects import Components, SecurityScheme, Server, Tag

import fenqi

__all__ = ["document"]

_DESCRIPTION = """\
Fenqi answers, for one cart: which ways to pay exist, what each truly costs, why one is missing, until when, and what to
use instead.

Amounts are whole minor units (`*_minor`: ¥12.34 is 1234). Instants are RFC 3339 with their offset; `*_on` are dates in
the shop's time zone. Errors are RFC 9457 problem details with a stable `code`; `errors` name each wrong field by JSON
pointer, with its value and what was expected. Unknown fields are refused.
"""


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """The document. It is the same until the process ends."""
    from fenqi_server.api.urls import router

    config = OpenAPIConfig(
        title="Fenqi",
        version=fenqi.__version__,
        openapi_version="3.1.0",
        summary="Ways to pay over time, for the shop that runs it itself",
        description=_DESCRIPTION,
        servers=[Server(url="/", description="This installation")],
        security=[{"api_key": []}],
        components=Components(
            security_schemes={
                "api_key": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description="The shop's key (`fq_test_…`, `fq_live_…`), on its server alone.",
                ),
                "client_token": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description="A checkout session's token, for the browser: one customer, one cart, one origin.",
                ),
            }
        ),
        tags=[
            Tag(name="Evaluations", description="How a cart can be paid"),
            Tag(name="Checkout sessions", description="Letting the shop's own page ask"),
            Tag(name="Contracts", description="Taking an offer, and what is owed then"),
            Tag(name="Servicing", description="What happens to a contract after it was agreed"),
            Tag(name="Hand-offs", description="Offers that another funder decides on its page"),
            Tag(name="Announcements", description="What the public is told; no key is needed"),
            Tag(name="Wishes", description="Telling a customer once that a way to pay is back"),
            Tag(name="Compensation", description="What those affected were granted, and its use"),
            Tag(name="Webhooks", description="Being told"),
        ],
    )
    made = build_schema(router, config=config).convert(skip_validation=True)
    # Written and read once: what is checked and shown is what goes over the wire.
    return dict(msgspec.json.decode(msgspec.json.encode(made)))
