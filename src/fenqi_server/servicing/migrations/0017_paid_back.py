"""Giving back what had paid instalments takes a second person above the limit, like other money that goes out."""

from django.db import migrations

_KINDS = "'return', 'hardship', 'goodwill', 'waiver', 'write_off', 'refund', 'held_refund', 'unmatched_refund', 'reversal', 'charge'"
_CHECK = """
ALTER TABLE servicing_request DROP CONSTRAINT servicing_request_kind_check;
ALTER TABLE servicing_request ADD CONSTRAINT servicing_request_kind_check CHECK (kind IN ({kinds}));
"""


class Migration(migrations.Migration):
    dependencies = [("servicing", "0016_order_index_once")]
    operations = [
        migrations.RunSQL(_CHECK.format(kinds=f"{_KINDS}, 'pay_back'"), _CHECK.format(kinds=_KINDS))
    ]
