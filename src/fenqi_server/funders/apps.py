from django.apps import AppConfig


class FundersConfig(AppConfig):
    name = "fenqi_server.funders"
    label = "funders"
    default_auto_field = "django.db.models.BigAutoField"
