from django.apps import AppConfig


class DisclosuresConfig(AppConfig):
    name = "fenqi_server.disclosures"
    label = "disclosures"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from fenqi_server.disclosures.printing import check_font

        check_font()
