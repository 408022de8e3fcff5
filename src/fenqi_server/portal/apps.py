from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "fenqi_server.portal"
    label = "portal"
