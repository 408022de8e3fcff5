from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


def _make_partitions(sender: Any, using: str, **_: Any) -> None:
    """Every `fenqi migrate` makes the partitions of the coming year: it is the one act that runs as the owner."""
    from django.db import connections

    from fenqi_server.clock import system_now
    from fenqi_server.decisions.log import partitions_sql

    with connections[using].cursor() as cursor:
        cursor.execute("SELECT to_regclass('decisions_decision') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return
        for statement in partitions_sql(system_now(), months=13):
            cursor.execute(statement)


class DecisionsConfig(AppConfig):
    name = "fenqi_server.decisions"
    label = "decisions"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        post_migrate.connect(_make_partitions, sender=self)
