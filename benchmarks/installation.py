"""A Fenqi of a measurement's own: a durable PostgreSQL of the wheel, migrated, of which nothing is left behind."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fenqi_server.embedded import Cluster

__all__ = ["installed"]


@contextmanager
def installed() -> Iterator[tuple[Path, Cluster, dict[str, str]]]:
    """Its folder (below `TMPDIR`), its cluster, and the environment of its service."""
    from fenqi_server.commands.migrate import migrate_in_own_process
    from fenqi_server.embedded import acquire, discard
    from fenqi_server.home import Home

    with tempfile.TemporaryDirectory(prefix="fenqi-bench-") as folder:
        place = Path(folder)
        place.chmod(
            0o711
        )  # root's PostgreSQL runs as `nobody`, who has to pass; where it cannot, the data lies elsewhere
        state = place / ".fenqi"
        home = Home.open(state)
        given = {name: value for name, value in os.environ.items() if not name.startswith("FENQI_")}
        try:
            with acquire(state, environ=given, root_home=place / "root") as cluster:
                environ = home.environ(cluster)
                assert cluster.owner_url is not None, "our own server has an owner"
                if migrate_in_own_process(environ, cluster.owner_url, quiet=True):
                    raise SystemExit("the database could not be migrated; see above")
                yield place, cluster, environ
        finally:
            discard(state)
