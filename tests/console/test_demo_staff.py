"""The demo's ready people: one click is a whole sign-in, there and nowhere else."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from fenqi_server.demo.staff import STAFF


@pytest.mark.usefixtures("mall")
def test_one_click_is_a_whole_sign_in_and_the_shopper_stays() -> None:
    client = Client(headers={"accept-language": "en"})
    client.post("/demo/customer", {"customer": "new"})
    page = client.get("/demo/staff/?next=/console/books/").content.decode()
    for colleague in STAFF:
        assert colleague.name.en in page
    answer = client.post("/demo/staff/in", {"username": "qian", "next": "/console/books/"})
    assert answer.headers["Location"] == "/console/books/"
    assert client.get("/console/books/").status_code == 200
    assert client.session["person"] == "new"
    answer = client.post("/demo/staff/in", {"username": "fang", "next": "//evil.example/"})
    assert answer.headers["Location"] == "/console/"
    assert client.get("/console/books/").status_code == 403
    assert client.session["person"] == "new"
    client.post("/console/sign-out/")
    assert client.get("/console/").status_code == 302
    assert client.session["person"] == "new"


@pytest.mark.usefixtures("mall")
def test_only_the_ready_people_and_none_by_a_password() -> None:
    User.objects.create_user("root", password="x" * 20, is_superuser=True)
    client = Client()
    assert client.post("/demo/staff/in", {"username": "root"}).status_code == 404
    assert client.get("/demo/staff/in").status_code == 405
    assert not any(user.has_usable_password() for user in User.objects.exclude(username="root"))


@pytest.mark.usefixtures("db")
def test_an_installation_that_is_no_demo_has_neither_page_nor_people() -> None:
    assert Client().get("/demo/staff/").status_code == 404
    assert Client().post("/demo/staff/in", {"username": "lin"}).status_code == 404
    assert not User.objects.filter(username__in=[each.username for each in STAFF]).exists()
