"""What the service needs before its first request: static files under their hashed names, a migrated database.

Run as a process of its own, before the servers start: `python -m fenqi_server.preparation [--seed-demo]`. It prints the
migrations that are missing, or with `--seed-demo` what the seed answers, as JSON.
"""

from __future__ import annotations

import json
import sys

import django
from django.core.management import call_command

__all__ = ["prepare"]


def prepare(*, seed_demo: bool) -> str:
    """Collects static files; then seeds the demo, or names the migrations that the database lacks."""
    call_command("collectstatic", interactive=False, verbosity=0)
    if seed_demo:
        from fenqi_server.demo.seed import seed

        return json.dumps(seed())
    from fenqi_server.migration import unapplied

    return ", ".join(unapplied())


if __name__ == "__main__":
    django.setup()
    print(prepare(seed_demo="--seed-demo" in sys.argv[1:]))
