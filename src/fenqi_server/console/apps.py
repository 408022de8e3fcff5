from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "fenqi_server.console"
    label = "console"
