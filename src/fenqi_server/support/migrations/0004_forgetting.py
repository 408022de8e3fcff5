"""What a customer and the desk wrote can be blanked when the customer asks to be forgotten, and in no other way."""

from django.db import migrations

_UP = """
-- The service may still change no message: it may only ask for all of one customer's, in the shop that it speaks for, to be
-- blanked. The owner's rights pass row-level security by, so the shop is named here.
CREATE FUNCTION support_forget(who uuid) RETURNS bigint LANGUAGE sql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
    WITH shop AS (SELECT nullif(current_setting('fenqi.shop_id', true), '')::uuid AS id),
    said AS (
        UPDATE support_message SET body = '[erased]' FROM shop
         WHERE customer_id = who AND shop_id = shop.id AND body <> '[erased]' RETURNING 1),
    noted AS (
        UPDATE support_note SET body = '[erased]' FROM shop
         WHERE customer_id = who AND shop_id = shop.id AND body <> '[erased]' RETURNING 1),
    asked AS (
        UPDATE support_case SET subject = '' FROM shop
         WHERE customer_id = who AND shop_id = shop.id AND subject <> '' RETURNING 1)
    SELECT (SELECT count(*) FROM said) + (SELECT count(*) FROM noted) + (SELECT count(*) FROM asked)
$$;
REVOKE ALL ON FUNCTION support_forget(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION support_forget(uuid) TO fenqi_service;
"""


class Migration(migrations.Migration):
    dependencies = [("support", "0003_reply_mail")]
    operations = [migrations.RunSQL(_UP, "DROP FUNCTION support_forget(uuid);")]
