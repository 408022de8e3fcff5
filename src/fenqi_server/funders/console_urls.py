"""Pages of the console: agreements, health, calendar, budgets, pilots."""

from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = []
