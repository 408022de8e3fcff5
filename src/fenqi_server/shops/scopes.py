"""What an API key may be allowed to do."""

from __future__ import annotations

from typing import Final

__all__ = ["GIVEN_BY_NAME", "SCOPES"]

SCOPES: Final = (
    "evaluations:write",
    "contracts:read",
    "contracts:write",
    "payments:write",
    "servicing:write",
    "sessions:write",
    "hand_offs:read",
    "hand_offs:write",
    "webhooks:manage",
    "diagnosis:read",
    "diagnosis:risk",
    "cases:read",
    "cases:write",
    "overrides:read",
    "overrides:write",
    "mail:write",
    "compensations:read",
    "compensations:write",
    "wishes:write",
    "mandates:read",
    "mandates:write",
    "autopay:write",
    "portal_links:write",
)
"""What a key may be allowed to do. A key without a scope is refused with the scope it lacks."""

GIVEN_BY_NAME: Final = frozenset({"diagnosis:risk", "overrides:write", "servicing:write"})
"""What a key gets only where it is asked for by its name, never along with everything else."""
