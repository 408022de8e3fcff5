"""Addresses are checked before anything is written: a bad one is said to be bad, and leaves no trace."""

from __future__ import annotations

import pytest
from django.db import connection
from tests.api.world import AT

GOOD = {
    "ann@example.com": "ann@example.com",
    "  Ann.B+mall@Example.COM ": "Ann.B+mall@example.com",
    "ann@bücher.example": "ann@xn--bcher-kva.example",
}
BAD = {
    "": "empty",
    "   ": "empty",
    "nobody": "form",
    "a@b": "form",
    "@example.com": "form",
    "ann@example.com, eve@example.com": "form",
    "ann@@example.com": "form",
    "Ann <ann@example.com>": "form",
    '"ann eve"@example.com': "form",
    "ännchen@example.com": "form",
    "ann@[127.0.0.1]": "form",
    "ann@-example.com": "form",
    ".ann@example.com": "form",
    "a" * 65 + "@example.com": "form",
    "x" * 300 + "@example.com": "long",
    "ann@" + "a." * 99 + "example.com": "long",
    "ann@example.com\r\nBcc: eve@example.com": "control",
    "ann\n@example.com": "control",
    "ann\x00@example.com": "control",
    "ann\u200b@example.com": "control",
    "ann\u202e@example.com": "control",
    "ann\u2028@example.com": "control",
}


@pytest.mark.parametrize(("typed", "kept"), GOOD.items())
def test_an_address_has_one_spelling(typed, kept):
    from fenqi_server.subscriptions.addresses import check_address

    assert check_address("email", typed) == kept


@pytest.mark.parametrize(("typed", "code"), BAD.items())
def test_a_bad_address_is_refused_in_both_languages_without_being_repeated(typed, code):
    from fenqi_server.subscriptions.addresses import BadAddress, check_address

    with pytest.raises(BadAddress) as caught:
        check_address("email", typed)
    assert caught.value.code == code
    assert caught.value.text.zh_cn
    assert "eve" not in str(caught.value)


def test_a_bad_address_leaves_nothing_behind(mall, post):
    from fenqi_server.policies import service as policies
    from fenqi_server.subscriptions import subscription
    from fenqi_server.subscriptions.addresses import BadAddress

    policy = policies.current(mall.shop.id, AT)
    for typed in BAD:
        with pytest.raises(BadAddress):
            subscription.subscribe(mall.shop, policy, "email", typed, "en", subscription.Scope(), AT)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM subscriptions_subscription), (SELECT count(*) FROM subscriptions_message)"
        )
        assert cursor.fetchone() == (0, 0)


@pytest.mark.parametrize(
    ("channel", "typed"),
    [("sms", "13800000000"), ("sms", "+86 138"), ("push", "short"), ("push", "a b c d e f g h i")],
)
def test_other_channels_have_their_own_form(channel, typed):
    from fenqi_server.subscriptions.addresses import BadAddress, check_address

    with pytest.raises(BadAddress):
        check_address(channel, typed)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:a9fe:a9fe]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[64:ff9b:1::a00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
        "https://[::127.0.0.1]/",
        "https://[fc00::1]/",
        "https://[fd12:3456:789a::1]/",
        "https://[fe80::1]/",
        "https://[fec0::1]/",
        "https://[ff02::1]/",
        "https://[::]/",
        "https://[2001:db8::1]/",
        "https://[100::1]/",
        "https://[5f00::1]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://user@hooks.example/",
        "https://hooks.example:22/",
    ],
)
def test_a_webhook_to_an_address_inside_is_refused_however_it_is_written(url):
    from fenqi_server.subscriptions.addresses import BadAddress, check_address

    with pytest.raises(BadAddress) as caught:
        check_address("webhook", url)
    assert caught.value.code == "private"


@pytest.mark.parametrize(
    "inside",
    ["10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "fc00::1", "fe80::1%eth0", "::1"],
)
def test_one_closed_address_among_all_that_a_name_has_refuses_the_webhook(monkeypatch, inside):
    import socket

    from fenqi_server.subscriptions.addresses import BadAddress, check_address

    def looked_up(*_, **__):
        return [(0, 0, 0, "", ("1.1.1.1", 443)), (0, 0, 0, "", (inside, 443))]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    with pytest.raises(BadAddress, match="open internet"):
        check_address("webhook", "https://hooks.example/")


def test_a_masked_address_is_known_again_by_its_owner_and_by_nobody_else():
    from fenqi_server.subscriptions.addresses import masked

    assert masked("al@example.com") == "…@example.com"
    assert masked("https://hooks.example/secret/path") == "https://hooks.example/…"
