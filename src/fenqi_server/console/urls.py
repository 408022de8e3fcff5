"""The console's addresses: its own, and each room's list.

A room keeps its list in its `console_urls.py`; its addresses are named in the console's namespace, `console:drafts`.
The sign-in's addresses stand in `console.entrance_urls`, outside the namespace, under the names that allauth gives them.
"""

from django.urls import URLPattern, URLResolver, include, path

from fenqi_server.console import views

app_name = "console"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.home, name="home"),
    path("shop", views.shop, name="shop"),
    path("timeline/", views.time_line, name="timeline"),
    path("", include("fenqi_server.policies.console_urls")),
    path("", include("fenqi_server.funders.console_urls")),
    path("", include("fenqi_server.announcements.console_urls")),
    path("", include("fenqi_server.support.console_urls")),
    path("", include("fenqi_server.books.console_urls")),
    path("", include("fenqi_server.reconciliation.console_urls")),
    path("", include("fenqi_server.servicing.console_urls")),
]
