"""`fenqi shop`, `key`, `policy publish` and `customer`: what an operator does, and what the service then answers."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fenqi_server.cli import main
from fenqi_server.shops.scopes import GIVEN_BY_NAME, SCOPES

POLICY = Path(__file__).resolve().parents[2] / "examples" / "policy"
CART = POLICY.parent / "api" / "corner.json"
CORNER = (
    "shop", "add", "corner", "--name-zh", "街角数码", "--name-en", "Corner Digital",
    "--time-zone", "Asia/Shanghai", "--currency", "CNY",
)  # fmt: skip


class Operator:
    """Runs commands, and holds them to their manners: JSON alone on standard output, exit code 0 or 2."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.said = ""

    def does(self, *words: str) -> Any:
        code = main([str(word) for word in words])
        caught = self._capsys.readouterr()
        self.said = caught.err
        assert code == 0, caught.err
        return json.loads(caught.out)

    def is_refused(self, *words: str, code: int = 2) -> str:
        assert main([str(word) for word in words]) == code
        caught = self._capsys.readouterr()
        assert caught.out == ""
        return caught.err


@pytest.fixture
def operator(
    db: Any,
    at: datetime,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Operator:
    monkeypatch.setenv("FENQI_HOME", str(tmp_path / ".fenqi"))
    monkeypatch.setenv("FENQI_OWNER_URL", "")
    return Operator(capsys)


@pytest.fixture
def corner(operator: Operator) -> Operator:
    operator.does(*CORNER)
    return operator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(POLICY, tmp_path / "policy"))


def changed(folder: Path, before: str, after: str) -> Path:
    file = folder / "shop.yaml"
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after), encoding="utf-8")
    return folder


# ------------------------------------------------------------------------------------------------------- shops


def test_a_shop_is_made_once_and_listed(operator: Operator) -> None:
    assert operator.does("shop", "list") == {"shops": []}
    made = operator.does(*CORNER)
    assert (made["shop"], made["live"], made["currency"]) == ("corner", False, "CNY")
    assert made["created_at"] == "2026-11-24T10:00:00+08:00"
    assert operator.does("shop", "list") == {"shops": [made]}
    assert "CODE is corner: expected a code that no shop has" in operator.is_refused(*CORNER)
    assert operator.does("shop", "list") == {"shops": [made]}


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--time-zone", "Shanghai", "--time-zone is Shanghai: expected an IANA time zone"),
        ("--currency", "RMB", "--currency is RMB: expected one of"),
        ("--name-zh", " ", "--name-zh is  : expected 1 to 80 characters"),
        ("--name-en", "x" * 81, "--name-en is xxx"),
    ],
)
def test_a_shop_that_cannot_be_is_refused(operator: Operator, option: str, value: str, said: str) -> None:
    words = list(CORNER)
    words[words.index(option) + 1] = value
    assert said in operator.is_refused(*words)


def test_a_shop_says_whether_one_person_runs_it(corner: Operator) -> None:
    assert corner.does("shop", "set", "corner", "--run-by", "one")["run_by"] == "one"
    assert corner.does("shop", "set", "corner", "--support-en", "Phone 1")["run_by"] == "one"
    assert corner.does("shop", "set", "corner", "--run-by", "several")["run_by"] == "several"


@pytest.mark.parametrize("code", ["Corner", "corner shop", "", "-", "x" * 41])
def test_a_code_is_small_letters_digits_hyphens(operator: Operator, code: str) -> None:
    assert "CODE is" in operator.is_refused("shop", "add", *CORNER[3:], "--", code)


def test_a_site_is_let_in_and_out_again(corner: Operator) -> None:
    site = "https://mall.example"
    assert corner.does("shop", "origin", "corner", site)["origins"] == [site]
    assert corner.does("shop", "origin", "corner", site)["origins"] == [site]
    assert f"ORIGIN is https://other.example: expected one of {site}" in corner.is_refused(
        "shop", "origin", "corner", "https://other.example", "--remove"
    )
    assert corner.does("shop", "origin", "corner", site, "--remove")["origins"] == []


def test_a_shop_says_where_its_customers_pay_and_how_support_is_reached(corner: Operator) -> None:
    cashier = "https://corner.example/pay?slip={slip}"
    said = corner.does("shop", "set", "corner", "--cashier", cashier, "--support-en", "Phone 400-000")
    assert (said["cashier"], said["support"]) == (cashier, {"zh-CN": "", "en": "Phone 400-000"})
    assert corner.does("shop", "set", "corner", "--support-zh", "电话 400-000")["cashier"] == cashier
    assert corner.does("shop", "set", "corner", "--cashier", "")["cashier"] == ""
    refused = corner.is_refused("shop", "set", "corner", "--cashier", "https://corner.example/pay")
    assert "it has to hold {slip} once" in refused


@pytest.mark.parametrize(
    "origin",
    ["https://mall.example/", "mall.example", "https://*.example", "https://mall.example:443", "ftp://a"],
)
def test_what_no_browser_calls_an_origin_is_refused(corner: Operator, origin: str) -> None:
    said = corner.is_refused("shop", "origin", "corner", origin)
    assert origin in said
    assert "https://mall.example" in said


def test_an_unknown_shop_is_told_from_those_there_are(corner: Operator) -> None:
    for words in (
        ["key", "add", "--label", "x"],
        ["key", "list"],
        ["policy", "history"],
        ["policy", "publish", str(POLICY), "--actor", "ann"],
        ["customer", "limit", "--ref", "u-1"],
    ):
        said = corner.is_refused(*words, "--shop", "cornr")
        assert "--shop is cornr: expected one of corner; `fenqi shop add` makes a shop" in said


# -------------------------------------------------------------------------------------------------------- keys


def test_a_key_opens_the_api_until_it_is_revoked(corner: Operator, call: Any) -> None:
    corner.does("policy", "publish", POLICY, "--shop", "corner", "--actor", "ann")
    made = corner.does("key", "add", "--shop", "corner", "--label", "checkout server")
    assert made["key"].startswith("fq_test_")
    assert "not shown again" in corner.said
    cart = json.loads(CART.read_text(encoding="utf-8"))
    assert call("POST", "/v1/evaluations", cart, key=made["key"]).status_code == 200

    listed = corner.does("key", "list", "--shop", "corner")["keys"]
    assert [key["id"] for key in listed] == [made["id"]]
    assert listed[0]["last_used_at"] == "2026-11-24T10:00:00+08:00"
    assert made["key"] not in json.dumps(listed)

    revoked = corner.does("key", "revoke", made["id"])
    assert revoked["revoked_at"] == "2026-11-24T10:00:00+08:00"
    assert call("POST", "/v1/evaluations", cart, key=made["key"]).status_code == 401
    assert corner.does("key", "revoke", made["id"]) == revoked


def test_a_key_may_do_what_its_scopes_name_and_no_more(corner: Operator, call: Any) -> None:
    made = corner.does(
        "key", "add", "--shop", "corner", "--label", "reports", "--scopes", "contracts:read", "hand_offs:read"
    )
    assert made["scopes"] == ["contracts:read", "hand_offs:read"]
    cart = json.loads(CART.read_text(encoding="utf-8"))
    assert call("POST", "/v1/evaluations", cart, key=made["key"]).status_code == 403
    said = corner.is_refused("key", "add", "--shop", "corner", "--label", "x", "--scopes", "contract:read")
    assert "--scopes is contract:read: expected one of evaluations:write, contracts:read" in said


def test_a_key_is_held_by_somebody_who_works_in_the_shop(corner: Operator) -> None:
    add = ("key", "add", "--shop", "corner", "--label", "x")
    assert "somebody who works in the shop" in corner.is_refused(*add, "--held-by", "ann")
    corner.does("staff", "add", "ann", "--shop", "corner", "--role", "finance")
    assert corner.does(*add, "--held-by", "ann")["held_by"] == "ann"
    assert "--held-by is bob: expected one of ann" in corner.is_refused(*add, "--held-by", "bob")
    assert {key["held_by"] for key in corner.does("key", "list")["keys"]} == {"ann"}


def test_a_key_opens_to_the_end_of_its_last_day_in_the_shops_zone(corner: Operator) -> None:
    from fenqi_server.shops import service as shops

    made = corner.does("key", "add", "--shop", "corner", "--label", "x", "--expires", "2026-11-24")
    assert made["expires_at"] == "2026-11-25T00:00:00+08:00"
    assert shops.caller_of(made["key"], datetime(2026, 11, 24, 15, 59, 59, tzinfo=UTC)) is not None
    shops.forget_caches()
    assert shops.caller_of(made["key"], datetime(2026, 11, 24, 16, 0, tzinfo=UTC)) is None
    for given, said in (("2026-11-23", "today or a later day"), ("tomorrow", "a date such as")):
        assert said in corner.is_refused("key", "add", "--shop", "corner", "--label", "x", "--expires", given)


def test_a_live_shops_key_is_asked_for_as_such(corner: Operator) -> None:
    corner.does(*CORNER[:2], "corner-live", *CORNER[3:], "--live")
    add = ("key", "add", "--label", "x", "--shop")
    assert corner.does(*add, "corner-live", "--live")["key"].startswith("fq_live_")
    assert "--live is missing" in corner.is_refused(*add, "corner-live")
    assert "corner is a test shop" in corner.is_refused(*add, "corner", "--live")
    assert [key["shop"] for key in corner.does("key", "list")["keys"]] == ["corner-live"]


def test_what_is_no_keys_id_is_refused_and_a_key_is_not_repeated(corner: Operator) -> None:
    key = corner.does("key", "add", "--shop", "corner", "--label", "x")["key"]
    said = corner.is_refused("key", "revoke", key)
    assert "expected a key's id" in said
    assert key not in said
    assert "expected the id of a key" in corner.is_refused(
        "key", "revoke", "019ab1c2-6f00-7c3e-9d51-0e2f7a6b4c8d"
    )


# ---------------------------------------------------------------------------------------------------- policies


def test_a_policy_is_published_changed_and_rolled_back(corner: Operator, folder: Path, at: datetime) -> None:
    from fenqi_server import clock

    publish = ("policy", "publish", folder, "--shop", "corner", "--actor", "ann")
    first = corner.does(*publish)
    assert first == {
        "shop": "corner",
        "published": True,
        "digest": corner.does("policy", "check", folder)["digest"],
        "valid_from": "2026-11-24T10:00:00+08:00",
        "recorded_at": "2026-11-24T10:00:00+08:00",
        "actor": "ann",
        "until": None,
        "before": None,
    }
    again = corner.does(*publish)
    assert (again["published"], again["digest"]) == (False, first["digest"])
    assert "nothing was published" in corner.said

    changed(folder, "0.5%", "0.6%")
    with clock.pinned(at + timedelta(hours=1)):
        said = corner.is_refused(*publish)
        assert "a notice that each of them links" in said
        assert len(corner.does("policy", "history", "--shop", "corner")["publications"]) == 1
        second = corner.does(*publish, "--silent-reason", "a fee of new orders alone")
    assert second["before"] == first["digest"]

    with clock.pinned(at + timedelta(hours=2)):
        rollback = (
            "policy",
            "rollback",
            first["digest"],
            "--shop",
            "corner",
            "--actor",
            "bob",
            "--reason",
            "too dear",
        )
        back = corner.does(*rollback)
        assert (back["digest"], back["before"], back["actor"]) == (first["digest"], second["digest"], "bob")
        history = corner.does("policy", "history", "--shop", "corner")["publications"]
        assert [(line["digest"], line["state"]) for line in history] == [
            (first["digest"], "past"),
            (second["digest"], "past"),
            (first["digest"], "in_force"),
        ]
        assert not corner.does(*rollback)["published"]
        # What held when, by what was known when: an hour ago nobody knew of the rollback of now.
        then = f"{at + timedelta(hours=3):%Y-%m-%dT%H:%M:%SZ}"
        before = f"{at + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
        ask = ("policy", "history", "--shop", "corner", "--at", then)
        assert corner.does(*ask)["in_force"]["digest"] == first["digest"]
        assert corner.does(*ask, "--known-at", before)["in_force"]["digest"] == second["digest"]
        assert corner.does(*ask, "--known-at", "2020-01-01")["in_force"] is None
        assert "--known-at is soon: expected a date or a time" in corner.is_refused(
            *ask, "--known-at", "soon"
        )


def test_a_planned_policy_waits_and_an_urgent_one_is_told_of_it(corner: Operator, folder: Path) -> None:
    publish = (
        "policy",
        "publish",
        folder,
        "--shop",
        "corner",
        "--actor",
        "ann",
        "--silent-reason",
        "fees alone",
    )
    corner.does(*publish)
    changed(folder, "0.5%", "0.6%")
    planned = corner.does(*publish, "--from", "2026-12-01")
    assert planned["valid_from"] == "2026-12-01T00:00:00+08:00"
    states = [line["state"] for line in corner.does("policy", "history", "--shop", "corner")["publications"]]
    assert states == ["in_force", "planned"]

    changed(folder, "0.6%", "0.7%")
    urgent = corner.does(*publish)
    assert urgent["until"] == planned["valid_from"]
    assert "holds until 2026-12-01T00:00:00+08:00" in corner.said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("2026-11-24T09:59", "expected an instant to come; leave it out to publish now"),
        ("2026-11-23", "expected an instant to come"),
        ("next week", "--from is next week: expected a date or a time in Asia/Shanghai"),
        ("2026-02-30", "expected a date or a time"),
        ("2126-01-01", "expected an instant of the next ten years"),
        ("9999-12-31T23:59Z", "--from is 9999-12-31T23:59Z: expected a date or a time"),
    ],
)
def test_a_policy_cannot_begin_before_now_nor_at_no_time(corner: Operator, given: str, said: str) -> None:
    assert said in corner.is_refused(
        "policy", "publish", POLICY, "--shop", "corner", "--actor", "ann", "--from", given
    )
    assert corner.does("policy", "history", "--shop", "corner")["publications"] == []


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("currency: CNY", "currency: HKD", "shop.currency of the policy is HKD: expected CNY, which shop corner has"),
        ("Asia/Shanghai", "Asia/Tokyo", "shop.time_zone of the policy is Asia/Tokyo: expected Asia/Shanghai"),
    ],
)  # fmt: skip
def test_a_policy_of_other_money_or_other_days_is_refused(
    corner: Operator, folder: Path, before: str, after: str, said: str
) -> None:
    changed(folder, before, after)
    if "HKD" in after:
        rules = folder / "rules.yaml"
        rules.write_text(rules.read_text(encoding="utf-8").replace("¥300", "HK$300"), encoding="utf-8")
    assert said in corner.is_refused("policy", "publish", folder, "--shop", "corner", "--actor", "ann")
    assert corner.does("policy", "history", "--shop", "corner")["publications"] == []


def test_a_folder_that_is_no_policy_is_refused_with_every_place(
    corner: Operator, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(folder, "periods: 3", "periods: three")
    assert main(["policy", "publish", str(folder), "--shop", "corner", "--actor", "ann"]) == 2
    caught = capsys.readouterr()
    assert caught.err.startswith("shop.yaml:18:")
    assert json.loads(caught.out)["problems"][0]["line"] == 18
    assert corner.does("policy", "history", "--shop", "corner")["publications"] == []
    assert "DIR is" in corner.is_refused(
        "policy", "publish", folder / "none", "--shop", "corner", "--actor", "ann"
    )


def test_only_what_this_shop_had_is_rolled_back_to(corner: Operator, folder: Path) -> None:
    corner.does(*CORNER[:2], "other", *CORNER[3:])
    digest = corner.does("policy", "publish", folder, "--shop", "other", "--actor", "ann")["digest"]
    for given in (digest, "sha256:00", "latest"):
        said = corner.is_refused(
            "policy", "rollback", given, "--shop", "corner", "--actor", "ann", "--reason", "x"
        )
        assert f"DIGEST is {given}: expected the whole digest of a policy that shop corner had" in said


def test_a_publication_has_somebody_who_made_it(corner: Operator) -> None:
    said = corner.is_refused("policy", "publish", POLICY, "--shop", "corner", "--actor", " ")
    assert "--actor is" in said


# --------------------------------------------------------------------------------------------------- customers


def test_a_limit_decides_whether_the_shop_lends(corner: Operator, call: Any) -> None:
    corner.does("policy", "publish", POLICY, "--shop", "corner", "--actor", "ann")
    key = corner.does("key", "add", "--shop", "corner", "--label", "x")["key"]

    def offered() -> list[str]:
        cart = json.loads(CART.read_text(encoding="utf-8"))
        return [offer["plan"] for offer in call("POST", "/v1/evaluations", cart, key=key).json()["offers"]]

    limit = ("customer", "limit", "--shop", "corner", "--ref", "u-1001")
    assert offered() == ["card_full"]
    assert corner.does(*limit)["limit_minor"] is None

    assert corner.does(*limit, "--limit", "20000.00") == {
        "shop": "corner",
        "ref": "u-1001",
        "currency": "CNY",
        "limit_minor": 2_000_000,
        "exposure_minor": 0,
        "available_minor": 2_000_000,
        "overdue": False,
    }
    assert offered() == ["corner_3", "corner_6", "card_full"]
    assert corner.does(*limit)["limit_minor"] == 2_000_000

    assert corner.does(*limit, "--limit", "¥2,998.99")["available_minor"] == 299_899
    assert offered() == ["card_full"]
    assert corner.does(*limit, "--unset")["available_minor"] is None
    assert offered() == ["card_full"]


def test_a_limit_may_be_set_before_the_first_evaluation(corner: Operator, call: Any) -> None:
    limit = ("customer", "limit", "--shop", "corner", "--ref", "u-7")
    for words in (limit, (*limit, "--unset")):
        assert "--ref is u-7: expected a customer of shop corner" in corner.is_refused(*words)
    assert corner.does(*limit, "--limit", "0")["limit_minor"] == 0
    assert "u-7 was not known" in corner.said
    assert corner.does(*limit)["available_minor"] == 0


@pytest.mark.parametrize(
    ("ref", "limit", "said"),
    [
        ("u-1", "-5", "--limit is -5: expected an amount of 0 or more"),
        ("u-1", "5.001", "--limit is 5.001: expected at most 2 decimals in CNY"),
        ("u-1", "$5", "--limit is $5: expected an amount in CNY"),
        ("u-1", "10000000000000000", "--limit is 10000000000000000: expected at most"),
        ("", "5", "--ref is empty: expected 1 to 100 printable ASCII characters"),
        ("王", "5", "--ref is 王: expected 1 to 100 printable ASCII characters"),
        ("4111 1111 1111 1111", "5", "--ref is a number withheld: expected no payment card number"),
    ],
)
def test_what_no_limit_can_be_is_refused(corner: Operator, ref: str, limit: str, said: str) -> None:
    assert said in corner.is_refused(
        "customer", "limit", "--shop", "corner", f"--ref={ref}", f"--limit={limit}"
    )


# ---------------------------------------------------------------------------------------------------- the rest


def test_a_database_of_another_release_is_refused(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fenqi_server import migration

    monkeypatch.setattr(migration, "unapplied", lambda: ["shops.0002_later"])
    said = operator.is_refused("shop", "list", code=1)
    assert "lacks 1 migrations of this release (shops.0002_later first)" in said
    assert "Run `fenqi migrate` first" in said


def test_the_clock_of_the_installation_is_the_one_that_counts(corner: Operator, at: datetime) -> None:
    from fenqi_server import clock

    with clock.pinned(at + timedelta(days=30)):
        made = corner.does("policy", "publish", POLICY, "--shop", "corner", "--actor", "ann")
    assert made["valid_from"] == "2026-12-24T10:00:00+08:00"


@pytest.mark.parametrize(
    "words", [["shop"], ["shop", "add"], ["key", "add"], ["policy", "publish"], ["customer", "limit"]]
)
def test_help_teaches_by_example(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([*words, "--help"])
    assert left.value.code == 0
    assert "examples:\n  fenqi " in capsys.readouterr().out


def test_the_help_of_a_key_names_every_scope(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["key", "add", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    usual, by_name = said.partition("Scopes: ")[2].split(
        " (without --scopes: all of these); and, only where named: "
    )
    assert sorted((*usual.split(", "), *by_name.rstrip(".").split(", "))) == sorted(SCOPES)
    assert set(by_name.rstrip(".").split(", ")) == GIVEN_BY_NAME
