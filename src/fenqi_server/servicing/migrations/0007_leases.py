"""What happens to leases and pledges: goods handed over and back, deposits, buyouts, renewals, captures."""

from importlib import import_module

from django.db import migrations

_BEFORE = import_module("fenqi_server.servicing.migrations.0005_events")._KINDS
_NEW = (
    "handed_over",
    "deposit_held",
    "deposit_applied",
    "deposit_released",
    "lease_returned",
    "inspected",
    "bought_out",
    "renewed",
    "pledged",
    "captured",
    "pledge_released",
)
_KINDS = ", ".join([_BEFORE, *[f"'{kind}'" for kind in _NEW]])

_UP = f"""
ALTER TABLE servicing_event DROP CONSTRAINT servicing_event_kind_check;
ALTER TABLE servicing_event ADD CONSTRAINT servicing_event_kind_check CHECK (kind IN ({_KINDS}));
"""
_DOWN = f"""
ALTER TABLE servicing_event DROP CONSTRAINT servicing_event_kind_check;
ALTER TABLE servicing_event ADD CONSTRAINT servicing_event_kind_check CHECK (kind IN ({_BEFORE}));
"""


class Migration(migrations.Migration):
    dependencies = [("servicing", "0006_requests")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
