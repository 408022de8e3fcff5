"""The API's own pages: the OpenAPI document, and the same for people, without a script."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from fenqi_server.api.openapi import document
from fenqi_server.decisions.service import Refused
from fenqi_server.outbox.service import EVENTS

__all__ = ["docs", "openapi_json"]


@lru_cache(maxsize=1)
def _encoded() -> bytes:
    return msgspec.json.encode(document())


@require_safe
def openapi_json(request: HttpRequest) -> HttpResponse:
    """The OpenAPI 3.1 document."""
    response = HttpResponse(_encoded(), content_type="application/json")
    response.headers["Content-Length"] = str(len(response.content))
    response.headers["Cache-Control"] = "public, max-age=300"
    # It holds nothing of anyone's: any page may read it.
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """The API for people: every call with its fields, on one page that needs no script."""
    return render(
        request,
        "api/docs.html",
        {"operations": _operations(), "schemas": _schemas(), "codes": _refusal_codes(), "events": EVENTS},
    )


@lru_cache(maxsize=1)
def _operations() -> list[dict[str, Any]]:
    found = []
    for path, item in document()["paths"].items():
        for method in ("get", "post", "delete"):
            operation = item.get(method)
            if operation is None:
                continue
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            found.append(
                {
                    "id": f"{method}-{path.strip('/').replace('/', '-').replace('{', '').replace('}', '')}",
                    "method": method.upper(),
                    "path": path,
                    "summary": operation.get("summary", ""),
                    "description": operation.get("description", ""),
                    "tag": (operation.get("tags") or [""])[0],
                    "parameters": [
                        {
                            "name": p.get("name", ""),
                            "in": p.get("in", ""),
                            "required": p.get("required", False) or p.get("name") == "Idempotency-Key",
                        }
                        for p in operation.get("parameters", [])
                    ],
                    "body": _named(body.get("schema", {})),
                    "answers": [
                        {
                            "status": status,
                            "text": answer.get("description", ""),
                            "schema": _named(
                                next(iter(answer.get("content", {}).values()), {}).get("schema", {})
                            ),
                        }
                        for status, answer in sorted(operation.get("responses", {}).items())
                    ],
                }
            )
    return found


@lru_cache(maxsize=1)
def _schemas() -> list[dict[str, Any]]:
    found = []
    for name, schema in sorted(document().get("components", {}).get("schemas", {}).items()):
        required = set(schema.get("required", ()))
        fields = [
            {
                "name": field,
                "type": _type(of),
                "required": field in required,
                "text": of.get("description", "") if isinstance(of, dict) else "",
            }
            for field, of in schema.get("properties", {}).items()
        ]
        found.append({"name": name, "description": schema.get("description", ""), "fields": fields})
    return found


def _named(schema: dict[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return _named(schema)
    if "enum" in schema:
        return " | ".join(str(one) for one in schema["enum"])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " | ".join(_type(one) for one in schema[several])
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        items = schema.get("items") or {}
        return f"[{_type(items)}]" if items else "[]"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return "{name: " + _type(schema["additionalProperties"]) + "}"
    kind = schema.get("type", "any")
    return str(schema.get("format") or (" | ".join(kind) if isinstance(kind, list) else kind))


def _refusal_codes() -> list[str]:
    text = Refused.__doc__ or ""
    listed = text[text.index("quote_malformed") :]
    return [code.strip(" .\n") for code in listed.replace("\n", " ").split(",")]
