from django.urls import URLPattern, URLResolver, path

from fenqi_server.books import views

app_name = "books"
urlpatterns: list[URLPattern | URLResolver] = [path("books/", views.book, name="book")]
