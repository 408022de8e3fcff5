from django.apps import AppConfig


class ServicingConfig(AppConfig):
    name = "fenqi_server.servicing"
    label = "servicing"
    default_auto_field = "django.db.models.BigAutoField"
