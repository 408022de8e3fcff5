"""What else may happen to a contract: goods, charges, quotes, hardship, losses."""

from django.db import migrations

_BEFORE = "'confirmed', 'due_reached', 'payment_received', 'payment_reversed', 'due_moved'"
_NEW = (
    "cancelled",
    "shipped",
    "disbursed",
    "goods_returned",
    "refund_paid",
    "due_day_changed",
    "payment_failed",
    "allocated_by_instruction",
    "paid_back",
    "unapplied_refunded",
    "payoff_quoted",
    "charged",
    "waived",
    "goodwill",
    "paused",
    "re_aged",
    "re_amortised",
    "accelerated",
    "written_off",
    "recovered",
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
    dependencies = [("servicing", "0004_close_runs")]
    operations = [migrations.RunSQL(_UP, _DOWN)]
