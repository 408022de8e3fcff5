"""Shops, and what their servers and browsers present to be let in.

Small reference tables, read through short-lived caches: see `fenqi_server.shops.service`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models

from fenqi.texts import Text

ALONE_WAITS: Final = timedelta(hours=24)
"""In a shop of one person, how long what needs a second one waits. Checks of the database say the same."""


class Shop(models.Model):
    """One storefront: one time zone, one currency, its own texts.

    A test shop and a live shop are two shops: `shop_id` is on every row, so nothing can be shared between the
    sandbox and the real one by mistake. `live` decides which kind of key opens it.
    """

    id = models.UUIDField(primary_key=True)
    code = models.SlugField(max_length=40, unique=True)
    name_zh_cn = models.CharField(max_length=80)
    name_en = models.CharField(max_length=80)
    time_zone = models.CharField(max_length=64, default="Asia/Shanghai")
    currency = models.CharField(max_length=3, default="CNY")
    live = models.BooleanField(default=False)
    support_zh_cn = models.CharField(max_length=200, default="", blank=True)
    support_en = models.CharField(max_length=200, default="", blank=True)
    created_at = models.DateTimeField()
    # One person runs it: their own changes of law and risk wait a day instead of being reviewed by someone else.
    single_operator = models.BooleanField(default=False, db_default=False)

    # Where its customers pay, with `{slip}` where the payment slip goes; empty: nowhere yet.
    pay_url = models.CharField(max_length=500, default="", db_default="", blank=True)

    # Django gives a foreign key's column this name; here the row itself is the shop.
    @property
    def shop_id(self) -> UUID:
        return self.id

    @property
    def name(self) -> Text:
        return Text(self.name_zh_cn, self.name_en)

    def __str__(self) -> str:
        return self.code


class ApiKey(models.Model):
    """A key of a shop's server, of which only the hash is kept.

    SHA-256 without salt or stretching is enough *because* a key is 256 random bits: there is no dictionary to
    try and no two keys share a hash. A password would need Argon2; here it would only cost each request 50 ms.
    """

    id = models.UUIDField(primary_key=True)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="api_keys")
    label = models.CharField(max_length=80)
    hint = models.CharField(max_length=24, help_text="the first letters of the key, to tell keys apart")
    key_hash = models.BinaryField(max_length=32, unique=True)
    scopes = ArrayField(models.CharField(max_length=40))
    # Who of the staff uses it themselves: what is done with it is done by them. Empty: the shop's own server.
    held_by = models.CharField(max_length=150, default="", db_default="", blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.label} ({self.hint}…)"


class Origin(models.Model):
    """A web origin whose pages may call the API with a client token: scheme, host and port, exactly."""

    id = models.UUIDField(primary_key=True)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="origins")
    origin = models.CharField(max_length=200)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["shop", "origin"], name="shops_origin_once")]

    def __str__(self) -> str:
        return self.origin
