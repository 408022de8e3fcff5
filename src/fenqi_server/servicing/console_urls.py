"""The pages of contracts and of closed days, in the console."""

from django.urls import URLPattern, URLResolver, path

from fenqi_server.servicing import console_views, desk

urlpatterns: list[URLPattern | URLResolver] = [
    path("contracts/", desk.contracts, name="contracts"),
    path("contracts/<str:contract_id>/", desk.contract, name="contract"),
    path("closings/", console_views.closings, name="closings"),
]
