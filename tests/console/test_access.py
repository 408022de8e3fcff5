"""Who gets into the console, and what they meet when it is not theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.test import Client, override_settings
from django.urls import path
from tests.servicing.opened import AT, make_shop

import fenqi_server.urls
from fenqi_server import clock
from fenqi_server.console import people
from fenqi_server.console.access import actor, allowed
from fenqi_server.shops.models import Shop
from fenqi_server.shops.service import forget_caches


@pytest.fixture
def shop(db: object) -> Iterator[Shop]:
    with clock.pinned(AT):
        yield make_shop()
    forget_caches()


@allowed("publisher", "auditor")
def _for_publishers(request: Any) -> HttpResponse:
    return HttpResponse(f"{actor(request)} in {request.staff.shop.code}")


def _undecorated(request: Any) -> HttpResponse:
    return HttpResponse("open to the world")


class _Urls:
    urlpatterns = (
        path("console/test/publishers", _for_publishers),
        path("console/test/forgotten", _undecorated),
        *fenqi_server.urls.urlpatterns,
    )


@pytest.fixture
def urls() -> Iterator[None]:
    with override_settings(ROOT_URLCONF=_Urls):
        yield


def test_nobody_is_sent_to_the_sign_in_and_back(shop: Shop) -> None:
    answer = Client().get("/console/?x=1")
    assert (answer.status_code, answer.headers["Location"]) == (
        302,
        "/console/sign-in/?next=/console/%3Fx%3D1",
    )


def test_a_password_alone_is_sent_to_the_second_factor(shop: Shop) -> None:
    user = User.objects.create_user("ann", password="correct horse battery")
    people.grant(shop, user, "author", AT, "cli:root")
    client = Client()
    client.force_login(user)
    answer = client.get("/console/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/console/me/")


def test_whoever_has_no_role_finds_no_console(shop: Shop, as_staff: Callable[..., Client]) -> None:
    assert as_staff(shop=shop, username="nobody").get("/console/").status_code == 404


def test_home_greets_with_roles_and_shop(shop: Shop, as_staff: Callable[..., Client]) -> None:
    page = as_staff("author", "finance", shop=shop, username="ann").get("/console/").content.decode()
    for shown in ("Good to see you, ann", "author", "finance", shop.name.en):
        assert shown in page
    assert "auditor" not in page


@pytest.mark.usefixtures("urls")
def test_a_role_opens_its_view_and_another_s_says_which_is_missing(
    shop: Shop, as_staff: Callable[..., Client]
) -> None:
    ann = as_staff("publisher", shop=shop, username="ann")
    assert ann.get("/console/test/publishers").content.decode() == f"staff:ann in {shop.code}"
    bob = as_staff("support", shop=shop, username="bob").get("/console/test/publishers")
    page = bob.content.decode()
    assert bob.status_code == 403
    assert "publisher" in page
    assert "auditor" in page
    assert "support agent" in page
    assert bob.headers["Cache-Control"].startswith("max-age=0, no-cache, no-store")


@pytest.mark.usefixtures("urls")
def test_a_view_that_names_no_role_opens_to_nobody(shop: Shop, as_staff: Callable[..., Client]) -> None:
    for client in (
        Client(),
        as_staff("admin", shop=shop),
        as_staff(*people.ROLES, shop=shop, username="all"),
    ):
        answer = client.get("/console/test/forgotten")
        assert answer.status_code == 404
        assert b"open to the world" not in answer.content


@pytest.mark.usefixtures("urls")
def test_a_role_taken_away_closes_the_next_page(shop: Shop, as_staff: Callable[..., Client]) -> None:
    client = as_staff("publisher", "support", shop=shop, username="ann")
    assert client.get("/console/test/publishers").status_code == 200
    assert people.take_away(shop, User.objects.get(username="ann"), "publisher")
    assert client.get("/console/test/publishers").status_code == 403


def test_whoever_works_in_two_shops_chooses_one(shop: Shop, as_staff: Callable[..., Client]) -> None:
    other, third = make_shop(code="corner"), make_shop(code="third")
    client = as_staff("author", shop=shop, username="ann")
    as_staff("finance", shop=other, username="ann")
    page = client.get("/console/").content.decode()
    assert "author" in page
    assert "finance" not in page
    assert client.post("/console/shop", {"shop": other.code}).status_code == 302
    page = client.get("/console/").content.decode()
    assert "finance" in page
    assert "author" not in page
    assert client.post("/console/shop", {"shop": third.code}).status_code == 404
    assert "finance" in client.get("/console/").content.decode()


def test_a_misspelt_role_is_refused_when_the_view_is_made() -> None:
    with pytest.raises(ValueError, match="publishr: not among the roles author"):
        allowed("publishr")


@pytest.mark.parametrize(
    ("role", "layers"), [("boss", []), ("author", ["law"]), ("reviewer", []), ("reviewer", ["weather"])]
)
def test_the_database_keeps_no_membership_that_means_nothing(
    shop: Shop, role: str, layers: list[str]
) -> None:
    from django.db import connection

    user = User.objects.create_user("ann")
    with pytest.raises(ValueError, match=r"role|layer"):
        people.grant(shop, user, role, AT, "cli:root", layers=layers)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO console_membership (shop_id, user_id, role, layers, granted_at, granted_by)"
            " VALUES (%s, %s, %s, %s, %s, 'cli:root')",
            [shop.id, user.pk, role, layers, AT],
        )
