from django.apps import AppConfig


class StorefrontConfig(AppConfig):
    name = "fenqi_server.storefront"
    label = "storefront"
    default_auto_field = "django.db.models.BigAutoField"
