from django.apps import AppConfig


class ShopsConfig(AppConfig):
    name = "fenqi_server.shops"
    label = "shops"
    default_auto_field = "django.db.models.BigAutoField"
