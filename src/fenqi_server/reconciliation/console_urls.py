"""The pages of reconciliation, in the console."""

from django.urls import URLPattern, URLResolver, path

from fenqi_server.reconciliation import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("reconciliation/", views.reconciliation, name="reconciliation"),
    path("reconciliation/import", views.take_in, name="statement_import"),
    path("reconciliation/settlement", views.settlement_act, name="settlement_act"),
    path("reconciliation/breaks/<uuid:break_id>/", views.break_page, name="break"),
    path("reconciliation/breaks/<uuid:break_id>/ask", views.break_ask, name="break_ask"),
    path("reconciliation/breaks/<uuid:break_id>/decide", views.break_decide, name="break_decide"),
]
