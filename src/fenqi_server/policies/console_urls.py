"""Pages of the console: drafts, differences, reviews, publications, audit."""

from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = []
