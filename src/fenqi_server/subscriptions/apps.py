from django.apps import AppConfig


class SubscriptionsConfig(AppConfig):
    name = "fenqi_server.subscriptions"
    label = "subscriptions"

    def ready(self) -> None:
        """A mail server that cannot be read is said at the start, not at the first mail."""
        from django.conf import settings

        from fenqi_server.subscriptions.smtp import read_url

        if settings.FENQI_SMTP_URL:
            read_url(settings.FENQI_SMTP_URL)
