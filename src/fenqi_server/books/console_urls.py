"""The page of the books, in the console."""

from django.urls import URLPattern, URLResolver, path

from fenqi_server.books import views

urlpatterns: list[URLPattern | URLResolver] = [path("books/", views.book, name="books")]
