"""Messages to a program: the same revision as data, signed by the Standard Webhooks scheme.

Where a name points to is looked up again for every message, all its addresses are checked, and the connection goes to the
checked one. A redirect is not followed: it is an answer like any other that is not a success.
"""

from __future__ import annotations

import msgspec
from django.conf import settings

from fenqi_server.clock import system_now
from fenqi_server.outbox.addresses import RefusedAddress, resolve
from fenqi_server.outbox.sending import SendFailed, post
from fenqi_server.outbox.signing import SealedWithAnotherKey, headers_for, open_secret
from fenqi_server.subscriptions.ports import Outcome, Outgoing

__all__ = ["WebhookPort"]


class WebhookPort:
    """One POST a message."""

    def deliver(self, message: Outgoing) -> Outcome:
        """Post the payload. 2xx is delivered; 410 says that nobody listens there any more."""
        assert message.secret is not None, "a webhook has a secret"
        body = msgspec.json.encode(message.payload)
        name = message.message_id.strip("<>").partition("@")[0]
        loopback = bool(settings.FENQI_WEBHOOK_ALLOW_LOOPBACK)
        try:
            headers = {
                "Content-Type": "application/json",
                "User-Agent": "Fenqi-Webhooks/1",
                # The machine's instant, not the shop's: it tells the receiver how old the message is on the wire.
                **headers_for(open_secret(message.secret), name, system_now(), body),
            }
            status = post(resolve(message.address, allow_loopback=loopback), body, headers)
        except SendFailed:
            # Whether it was read before the answer was lost is not known; its id tells the receiver that it is the same.
            return Outcome("unknown")
        except (RefusedAddress, SealedWithAnotherKey):
            return Outcome("retry")
        if 200 <= status < 300:
            return Outcome("delivered", status)
        return Outcome("refused" if status == 410 else "retry", status)

    def close(self) -> None:
        """Nothing is held open."""
