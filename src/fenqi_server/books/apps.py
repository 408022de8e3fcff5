from django.apps import AppConfig


class BooksConfig(AppConfig):
    name = "fenqi_server.books"
    label = "books"
    default_auto_field = "django.db.models.BigAutoField"
