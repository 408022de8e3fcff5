"""The pages of contracts, of what is done to them, of requests and of closed days, in the console."""

from django.urls import URLPattern, URLResolver, path

from fenqi_server.servicing import console_views, desk, request_views
from fenqi_server.servicing.act_views import act_page
from fenqi_server.servicing.staff_acts import ACTS

urlpatterns: list[URLPattern | URLResolver] = [
    path("contracts/", desk.contracts, name="contracts"),
    path("contracts/<str:contract_id>/", desk.contract, name="contract"),
    *(
        path(f"contracts/<str:contract_id>/{act.name}/", act_page(act), name=f"contract_{act.name}")
        for act in ACTS
    ),
    path("requests/", request_views.queue, name="requests"),
    path("requests/<str:request_id>/", request_views.request_page, name="request"),
    path("requests/<str:request_id>/decide", request_views.request_decide, name="request_decide"),
    path("requests/<str:request_id>/withdraw", request_views.request_withdraw, name="request_withdraw"),
    path("closings/", console_views.closings, name="closings"),
]
