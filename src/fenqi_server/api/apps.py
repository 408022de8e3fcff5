from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "fenqi_server.api"
    label = "api"
