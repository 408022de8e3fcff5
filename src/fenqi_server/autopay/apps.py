from django.apps import AppConfig


class AutopayConfig(AppConfig):
    name = "fenqi_server.autopay"
    label = "autopay"
    default_auto_field = "django.db.models.BigAutoField"
