"""The service's addresses: the API under /v1/, pages beside it, health."""

from django.conf import settings
from django.urls import include, path

from fenqi_server.health import healthz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("v1/", include("fenqi_server.api.urls")),
    path("", include("fenqi_server.announcements.urls")),
    path("", include("fenqi_server.subscriptions.urls")),
    path("", include("fenqi_server.reminders.urls")),
    path("", include("fenqi_server.support.urls")),
    path("", include("fenqi_server.disclosures.urls")),
    path("", include("fenqi_server.papers.urls")),
    path("console/", include("fenqi_server.console.urls")),
    path("console/", include("fenqi_server.console.entrance_urls")),
    path("", include("fenqi_server.funders.urls")),
]
if settings.FENQI_DEMO:
    urlpatterns.append(path("", include("fenqi_server.demo.urls")))
urlpatterns.append(path("", include("fenqi_server.storefront.urls")))
