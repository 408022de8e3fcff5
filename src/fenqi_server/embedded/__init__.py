"""A real PostgreSQL, started and stopped by the program that needs it.

`acquire(state_dir)` is the one door. It answers with a `Cluster`: the two addresses (the owner's, for
migrations; the service's, without DDL) and `stop()`, which stops only what this program started. Who supplies
the server is decided here, in this order: `FENQI_DATABASE_URL` (an installation's own PostgreSQL), the wheel of
`fenqi[embedded]`, binaries of the system (15 or newer).

`binaries` finds PostgreSQL, `placement` finds a folder it can run in, `cluster` runs it, `transfer` writes it to
a file and back.
"""

from fenqi_server.embedded.binaries import OLDEST_MAJOR, Binaries, find_binaries
from fenqi_server.embedded.cluster import OWNER_ROLE, SERVICE_ROLE, Cluster, acquire, discard, upgrade
from fenqi_server.embedded.problems import EmbeddedError, OtherMajor

__all__ = [
    "OLDEST_MAJOR",
    "OWNER_ROLE",
    "SERVICE_ROLE",
    "Binaries",
    "Cluster",
    "EmbeddedError",
    "OtherMajor",
    "acquire",
    "discard",
    "find_binaries",
    "upgrade",
]
