"""The policy in force as one signed file, for a shop's own process that has to decide while the service is down."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

from django.http import HttpResponse
from django.utils.cache import get_conditional_response
from dmr import HeaderSpec, ResponseSpec, validate

from fenqi_server import clock
from fenqi_server.api.access import access_of
from fenqi_server.api.base import ApiController, finished, problems
from fenqi_server.api.problems import ApiProblem
from fenqi_server.policies import service as policies

__all__ = ["SnapshotController"]

CONTENT_TYPE = "application/vnd.fenqi.signed-snapshot"


class SnapshotController(ApiController):
    """The policy in force."""

    scopes: ClassVar[Any] = {"get": "evaluations:write"}
    tags: ClassVar[Any] = ["Evaluations"]

    @validate(
        ResponseSpec(
            bytes,
            status_code=HTTPStatus.OK,
            headers={"ETag": HeaderSpec(description="The policy's digest", skip_validation=True)},
        ),
        ResponseSpec(
            None, status_code=HTTPStatus.NOT_MODIFIED, description="The policy is the one that you have"
        ),
        *problems(401, 403, 404),
    )
    def get(self) -> HttpResponse:
        """Fetch the policy in force, signed.

        A whole file: the policy, and the members of its sets. Keep it, ask again with `If-None-Match`, and when the service does
        not answer decide by what you have (`fenqi evaluate --snapshot`, or `fenqi.policy.signing.load`). What is decided so is
        unsigned and indicative: the service decides again before anything is agreed.
        """
        access = access_of(self.request)
        made = policies.publication_for(access.shop.id, clock.now())
        if made is None:
            raise policies.NoPolicy(access.shop.code)
        etag = f'"{made.digest}"'
        known = get_conditional_response(self.request, etag=etag)
        if known is not None and known.status_code == 304:
            return _kept(finished(self.request, known), etag)
        data = policies.signed_snapshot(access.shop, made)
        if data is None:
            raise ApiProblem(
                404,
                "not_signed",
                "The policy is not signed",
                "It was published by a service without FENQI_POLICY_KEY: set it, and publish again.",
            )
        response = HttpResponse(data, content_type=CONTENT_TYPE)
        response.headers["Content-Disposition"] = f'attachment; filename="{access.shop.code}.snapshot"'
        return _kept(finished(self.request, response), etag)


def _kept(response: HttpResponse, etag: str) -> HttpResponse:
    """Unlike other answers this one is there to be kept, by who asked, who asks again whether it still holds."""
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "private, no-cache"
    return response
