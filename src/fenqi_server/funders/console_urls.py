"""Pages of the console: agreements, health, calendar, budgets, pilots."""

from django.urls import URLPattern, URLResolver, path

from fenqi_server.funders import console_views as views

urlpatterns: list[URLPattern | URLResolver] = [
    path("agreements/", views.agreements_page, name="agreements"),
    path("agreements/seen", views.agreement_seen, name="agreement_seen"),
    path("health/", views.health_page, name="health"),
    path("health/<slug:funder>/", views.funder_page, name="funder_health"),
    path("health/<slug:funder>/override", views.override, name="funder_override"),
    path("health/<slug:funder>/override/end", views.override_end, name="funder_override_end"),
    path("calendar/", views.calendar_page, name="calendar"),
    path("budgets/", views.budgets_page, name="budgets"),
    path("pilots/", views.pilots_page, name="pilots"),
    path("pilots/<uuid:publication>/widen", views.pilot_widen, name="pilot_widen"),
    path("pilots/<uuid:publication>/end", views.pilot_end, name="pilot_end"),
]
