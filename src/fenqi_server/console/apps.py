from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "fenqi_server.console"
    label = "console"

    def ready(self) -> None:
        from fenqi_server.console.entrance import listen

        listen()
