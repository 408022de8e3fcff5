from django.urls import path

from fenqi_server.portal import (
    access_views,
    act_views,
    autopay_views,
    contract_views,
    data_views,
    lease_views,
    order_views,
    paying,
    ways_views,
)

app_name = "portal"

urlpatterns = [
    path("portal/in/", access_views.enter, name="enter"),
    path("portal/out/", access_views.leave, name="leave"),
    path("account/", contract_views.overview, name="overview"),
    path("account/ways/", ways_views.ways, name="ways"),
    path("account/autopay/", autopay_views.autopay, name="autopay"),
    path("account/data/", data_views.data, name="data"),
    path("account/data/file.json", data_views.data_file, name="data-file"),
    path("account/data/erase/", data_views.erase, name="erase"),
    path("contracts/", contract_views.contracts, name="contracts"),
    path("contracts/<str:contract_id>/", contract_views.contract, name="contract"),
    path("contracts/<str:contract_id>/disclosure/", contract_views.disclosure, name="disclosure"),
    path("contracts/<str:contract_id>/pay/", paying.pay, name="pay"),
    path("contracts/<str:contract_id>/pay-off/", act_views.pay_off, name="pay-off"),
    path("contracts/<str:contract_id>/rented/", lease_views.rented, name="rented"),
    path("contracts/<str:contract_id>/return/", act_views.send_back, name="send-back"),
    path("contracts/<str:contract_id>/due-day/", act_views.due_day, name="due-day"),
    path("contracts/<str:contract_id>/help/", act_views.ask_for_help, name="help"),
    path("contracts/<str:contract_id>/take-back/", act_views.take_back, name="take-back"),
    path("contracts/<str:contract_id>/parcel/", act_views.parcel, name="parcel"),
    path("bank/", paying.bank, name="bank"),
    path("orders/", order_views.order_list, name="orders"),
    path("orders/<str:order_id>/", order_views.order, name="order"),
    path("orders/<str:order_id>/ask/", order_views.ask_funder, name="ask"),
]
