"""The document that machines read, and the page for people made from it."""

from __future__ import annotations

import json

import pytest
from openapi_spec_validator import validate
from tests.api.world import decoded


def test_the_document_is_valid_openapi_3_1_and_readable_by_anyone(mall, call):
    response = call("GET", "/v1/openapi.json")
    document = decoded(response)
    assert document["openapi"].startswith("3.1")
    validate(document)
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_every_endpoint_is_in_it_with_its_problems(mall, call):
    document = decoded(call("GET", "/v1/openapi.json"))
    from fenqi_server.api.urls import router

    assert len(document["paths"]) == len(router.urls)
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method not in ("get", "post", "delete"):
                continue
            assert operation["summary"], (path, method)
            # What the public page says needs no key.
            assert ("401" in operation["responses"]) is not path.startswith("/v1/announcements"), (
                path,
                method,
            )


def test_no_schema_has_a_field_for_a_card_or_a_person(mall, call):
    document = json.dumps(decoded(call("GET", "/v1/openapi.json"))["components"]["schemas"]).lower()
    for word in ("pan", "cvv", "card_number", "phone_number", "id_number", "birth"):
        assert f'"{word}"' not in document


def test_answers_fit_their_schemas(mall, call):
    import jsonschema

    document = decoded(call("GET", "/v1/openapi.json"))
    schema = {"$ref": "#/components/schemas/EvaluationDocument", "components": document["components"]}
    answer = decoded(call("POST", "/v1/evaluations", mall.body(), key=mall.key))
    jsonschema.Draft202012Validator(schema).validate(answer)
    problem = decoded(call("POST", "/v1/evaluations", {}, key=mall.key))
    schema["$ref"] = "#/components/schemas/ProblemDetails"
    jsonschema.Draft202012Validator(schema).validate(problem)


@pytest.mark.parametrize(("language", "words"), [("en", "Fenqi's API"), ("zh-hans", "API")])
def test_the_page_for_people_shows_every_call_and_needs_no_script(mall, call, language, words):
    response = call("GET", "/v1/docs/", headers={"Accept-Language": language})
    page = response.content.decode()
    assert response.status_code == 200
    assert words in page
    assert "POST /v1/evaluations" in page
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert "http://" not in page.replace("http://www.w3.org", "")
