"""The pages of contracts, of what is done to them, of requests, of cash and of closed days, in the console."""

from django.urls import URLPattern, URLResolver, path

from fenqi_server.servicing import cash_views, console_views, desk, request_views, till_views
from fenqi_server.servicing.act_views import act_page
from fenqi_server.servicing.staff_acts.table import ACTS

urlpatterns: list[URLPattern | URLResolver] = [
    path("contracts/", desk.contracts, name="contracts"),
    path("contracts/<str:contract_id>/", desk.contract, name="contract"),
    path("contracts/<str:contract_id>/portal-link", desk.portal_link, name="portal_link"),
    *(
        path(f"contracts/<str:contract_id>/{act.name}/", act_page(act), name=f"contract_{act.name}")
        for act in ACTS
    ),
    path("requests/", request_views.queue, name="requests"),
    path("requests/<str:request_id>/", request_views.request_page, name="request"),
    path("requests/<str:request_id>/decide", request_views.request_decide, name="request_decide"),
    path("requests/<str:request_id>/withdraw", request_views.request_withdraw, name="request_withdraw"),
    path("unapplied/", cash_views.unapplied_cash, name="unapplied"),
    path("unapplied/<str:unapplied_id>/", cash_views.money, name="money"),
    path("unapplied/<str:unapplied_id>/match", cash_views.money_match, name="money_match"),
    path("unapplied/<str:unapplied_id>/undo", cash_views.money_undo, name="money_undo"),
    path("unapplied/<str:unapplied_id>/refund", cash_views.money_refund, name="money_refund"),
    path("tills/", till_views.till_days, name="tills"),
    path("tills/count", till_views.till_count, name="till_count"),
    path("tills/counts/", till_views.till_counts, name="till_counts"),
    path("closings/", console_views.closings, name="closings"),
]
