"""`.fenqi/`: what one installation keeps on its machine, readable by its owner alone.

`keys.json` (the secrets that sign), `postgres.json` (the way to the embedded database), `static/`, `demo.json`.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from fenqi_server.embedded.cluster import Cluster, write_private

__all__ = ["Home"]


@dataclass(frozen=True)
class Home:
    """The folder, made with mode 0700 on first use."""

    path: Path

    @classmethod
    def open(cls, path: str | os.PathLike[str] | None = None) -> Home:
        folder = Path(path or os.environ.get("FENQI_HOME") or ".fenqi").resolve()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(folder)

    def environ(self, cluster: Cluster, **further: str) -> dict[str, str]:
        """The service's environment: it knows the service's address of the database and never the owner's."""
        environ = {name: value for name, value in os.environ.items() if name != "FENQI_OWNER_URL"}
        keys = self._keys()
        environ.setdefault("FENQI_SECRET_KEY", keys["secret_key"])
        environ.setdefault("FENQI_SIGNING_KEYS", keys["signing_keys"])
        environ.setdefault("FENQI_STATIC_ROOT", str(self.path / "static"))
        environ["FENQI_DATABASE_URL"] = cluster.service_url
        environ["DJANGO_SETTINGS_MODULE"] = "fenqi_server.settings"
        return environ | further

    def write(self, name: str, value: object) -> Path:
        """Writes a JSON file with mode 0600."""
        path = self.path / name
        write_private(path, json.dumps(value, indent=2) + "\n")
        return path

    def _keys(self) -> dict[str, str]:
        path = self.path / "keys.json"
        try:
            kept: dict[str, str] = json.loads(path.read_text())
        except FileNotFoundError:
            kept = {
                "secret_key": secrets.token_urlsafe(48),
                "signing_keys": f"k1:{secrets.token_hex(32)}",
            }
            self.write("keys.json", kept)
        return kept
