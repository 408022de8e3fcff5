from django.apps import AppConfig


class SubscriptionsConfig(AppConfig):
    name = "fenqi_server.subscriptions"
    label = "subscriptions"
