"""`fenqi staff`: accounts from the server's own hand, with errors that say the way out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from fenqi_server.cli import main
from fenqi_server.commands.staff import cli_actor
from fenqi_server.shops.service import forget_caches

CORNER = (
    "shop", "add", "corner", "--name-zh", "街角数码", "--name-en", "Corner Digital",
    "--time-zone", "Asia/Shanghai", "--currency", "CNY",
)  # fmt: skip


class Operator:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def does(self, *words: str) -> Any:
        code = main(words)
        caught = self._capsys.readouterr()
        assert code == 0, caught.err
        return json.loads(caught.out)

    def is_refused(self, *words: str) -> str:
        assert main(words) == 2
        caught = self._capsys.readouterr()
        assert caught.out == ""
        return caught.err


@pytest.fixture
def operator(
    db: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Operator]:
    monkeypatch.setenv("FENQI_HOME", str(tmp_path / ".fenqi"))
    monkeypatch.setenv("FENQI_OWNER_URL", "")
    forget_caches()
    operator = Operator(capsys)
    operator.does(*CORNER)
    yield operator
    forget_caches()


def test_an_account_is_made_with_its_roles_and_a_link(operator: Operator) -> None:
    made = operator.does(
        "staff", "add", "ann", "--shop", "corner", "--role", "author", "reviewer", "--layers", "risk", "law"
    )
    link = made.pop("link")
    assert made == {
        "name": "ann",
        "shop": "corner",
        "roles": ["author", "reviewer"],
        "layers": ["law", "risk"],
        "open": True,
        "password": False,
        "second_factors": [],
        "last_sign_in": None,
    }
    page = Client().get(link.removeprefix(settings.FENQI_ORIGIN), follow=True).content.decode()
    assert "ann" in page
    assert operator.does("staff", "list", "--shop", "corner") == {"staff": [made]}


def test_roles_are_given_and_taken(operator: Operator) -> None:
    operator.does("staff", "add", "ann", "--shop", "corner", "--role", "author")
    given = operator.does("staff", "role", "ann", "--shop", "corner", "--give", "finance")
    assert given == {"name": "ann", "shop": "corner", "roles": ["author", "finance"], "layers": []}
    operator.does("staff", "role", "ann", "--shop", "corner", "--give", "reviewer", "--layers", "law")
    wider = operator.does(
        "staff", "role", "ann", "--shop", "corner", "--give", "reviewer", "--layers", "law", "risk"
    )
    assert wider["layers"] == ["law", "risk"]
    taken = operator.does("staff", "role", "ann", "--shop", "corner", "--take", "author")
    assert taken["roles"] == ["reviewer", "finance"]
    assert "one of ann's roles in corner: reviewer, finance" in operator.is_refused(
        "staff", "role", "ann", "--shop", "corner", "--take", "author"
    )


def test_a_reset_and_a_closed_account(operator: Operator) -> None:
    operator.does("staff", "add", "ann", "--shop", "corner", "--role", "author")
    user = User.objects.get(username="ann")
    user.set_password("a horse that is correct")
    user.save()
    Authenticator.objects.create(user=user, type="totp", data={})
    assert operator.does("staff", "list")["staff"][0]["second_factors"] == ["totp"]
    assert operator.does("staff", "reset", "ann")["link"].startswith(
        settings.FENQI_ORIGIN + "/console/start/"
    )
    listed = operator.does("staff", "list")["staff"][0]
    assert (listed["password"], listed["second_factors"]) == (False, [])
    assert operator.does("staff", "disable", "ann") == {"name": "ann", "open": False}
    assert operator.does("staff", "list")["staff"][0]["open"] is False
    assert operator.does("staff", "enable", "ann") == {"name": "ann", "open": True}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "Ann", "--shop", "corner", "--role", "author"), "NAME is Ann"),
        (("add", "ann", "--shop", "corne", "--role", "author"), "one of corner"),
        (("add", "ann", "--shop", "corner", "--role", "boss"), "one of author, reviewer, publisher"),
        (("add", "ann", "--shop", "corner", "--role", "reviewer"), "what they review"),
        (("add", "ann", "--shop", "corner", "--role", "reviewer", "--layers", "weather"), "one of law"),
        (
            ("add", "ann", "--shop", "corner", "--role", "author", "--layers", "law"),
            "only a reviewer has layers",
        ),
        (("role", "nobody", "--shop", "corner", "--give", "author"), "`fenqi staff list` shows them"),
        (("reset", "nobody"), "`fenqi staff list` shows them"),
        (("disable", "nobody"), "`fenqi staff list` shows them"),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_out(
    operator: Operator, words: tuple[str, ...], said: str
) -> None:
    assert said in operator.is_refused("staff", *words)
    assert not User.objects.filter(username__iexact="ann").exists()


def test_a_name_is_given_once(operator: Operator) -> None:
    operator.does("staff", "add", "ann", "--shop", "corner", "--role", "author")
    said = operator.is_refused("staff", "add", "ann", "--shop", "corner", "--role", "finance")
    assert "fenqi staff role ann --shop corner --give ROLE" in said


def test_records_name_the_account_of_the_machine() -> None:
    assert cli_actor().startswith("cli:")
