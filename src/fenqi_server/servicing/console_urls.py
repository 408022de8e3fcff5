"""The page of closed days, in the console."""

from django.urls import URLPattern, URLResolver, path

from fenqi_server.servicing import console_views

urlpatterns: list[URLPattern | URLResolver] = [path("closings/", console_views.closings, name="closings")]
