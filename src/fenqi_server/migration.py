"""Brings the database to this release: migrations by the owner's role, and what the framework's tables need.

Partitions are made ahead here too: an app that has some makes them on Django's `post_migrate`.

It runs in a process of its own, whose `FENQI_DATABASE_URL` is the owner's address; the service never holds it.
"""

from __future__ import annotations

from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

__all__ = ["migrate", "unapplied"]

# Every table of ours is granted by its own migration, no more than it needs. Django's and allauth's are granted here.
_FRAMEWORK_GRANTS = {
    "django_session": "SELECT, INSERT, UPDATE, DELETE",
    "auth_user": "SELECT, INSERT, UPDATE",
    "auth_group": "SELECT",
    "auth_permission": "SELECT",
    "auth_group_permissions": "SELECT",
    "auth_user_groups": "SELECT, INSERT, DELETE",
    "auth_user_user_permissions": "SELECT, INSERT, DELETE",
    "account_emailaddress": "SELECT",
    "account_emailconfirmation": "SELECT",
    "mfa_authenticator": "SELECT, INSERT, UPDATE, DELETE",
    "django_content_type": "SELECT",
    "django_migrations": "SELECT",
}


def migrate() -> list[str]:
    """Applies what is missing and returns its names. Running it again changes nothing."""
    before = unapplied()
    call_command("migrate", interactive=False, verbosity=0)
    from fenqi_server.books.sealing import begin_era

    begin_era(connection)
    with connection.cursor() as cursor:
        cursor.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        cursor.execute("GRANT USAGE ON SCHEMA public TO fenqi_service")
        for table, rights in _FRAMEWORK_GRANTS.items():
            cursor.execute(f"GRANT {rights} ON {table} TO fenqi_service")
            if "INSERT" in rights:
                cursor.execute(
                    "SELECT pg_get_serial_sequence(%s, 'id') WHERE %s <> 'django_session'", [table] * 2
                )
                for (sequence,) in cursor.fetchall():
                    if sequence:
                        cursor.execute(f"GRANT USAGE ON SEQUENCE {sequence} TO fenqi_service")
    return before


def unapplied() -> list[str]:
    """Migrations of this release that the database does not have, as `app.name`; `books.era` where it was restored from another."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    found = [f"{migration.app_label}.{migration.name}" for migration, _backwards in plan]
    if not found:
        from fenqi_server.books.sealing import era_problem

        # A backup that was put back by hand: what is booked before the new era begins could not be told from the old.
        found += ["books.era"] if era_problem(connection) else []
    return found
