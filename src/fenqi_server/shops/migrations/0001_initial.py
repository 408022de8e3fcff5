"""Shops, their servers' keys and their pages' origins."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

_GRANTS = "GRANT SELECT, INSERT, UPDATE ON shops_shop, shops_apikey TO fenqi_service; GRANT SELECT, INSERT, DELETE ON shops_origin TO fenqi_service;"


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Shop",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("code", models.SlugField(max_length=40, unique=True)),
                ("name_zh_cn", models.CharField(max_length=80)),
                ("name_en", models.CharField(max_length=80)),
                ("time_zone", models.CharField(default="Asia/Shanghai", max_length=64)),
                ("currency", models.CharField(default="CNY", max_length=3)),
                ("live", models.BooleanField(default=False)),
                ("support_zh_cn", models.CharField(blank=True, default="", max_length=200)),
                ("support_en", models.CharField(blank=True, default="", max_length=200)),
                ("created_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("label", models.CharField(max_length=80)),
                (
                    "hint",
                    models.CharField(
                        help_text="the first letters of the key, to tell keys apart", max_length=24
                    ),
                ),
                ("key_hash", models.BinaryField(max_length=32, unique=True)),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=40), size=None
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
                (
                    "shop",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="api_keys", to="shops.shop"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Origin",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("origin", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField()),
                (
                    "shop",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="origins", to="shops.shop"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("shop", "origin"), name="shops_origin_once")]
            },
        ),
        migrations.RunSQL(_GRANTS, migrations.RunSQL.noop),
    ]
