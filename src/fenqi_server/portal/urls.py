from django.urls import path

from fenqi_server.portal import access_views, contract_views, order_views, paying

app_name = "portal"

urlpatterns = [
    path("portal/in/", access_views.enter, name="enter"),
    path("portal/out/", access_views.leave, name="leave"),
    path("account/", contract_views.overview, name="overview"),
    path("contracts/", contract_views.contracts, name="contracts"),
    path("contracts/<str:contract_id>/", contract_views.contract, name="contract"),
    path("contracts/<str:contract_id>/disclosure/", contract_views.disclosure, name="disclosure"),
    path("contracts/<str:contract_id>/pay/", paying.pay, name="pay"),
    path("bank/", paying.bank, name="bank"),
    path("orders/", order_views.order_list, name="orders"),
    path("orders/<str:order_id>/", order_views.order, name="order"),
    path("orders/<str:order_id>/ask/", order_views.ask_funder, name="ask"),
]
