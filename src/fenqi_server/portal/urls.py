from django.urls import path

from fenqi_server.portal import views

app_name = "portal"

urlpatterns = [
    path("contracts/", views.contracts, name="contracts"),
    path("contracts/<str:contract_id>/", views.contract, name="contract"),
    path("contracts/<str:contract_id>/disclosure/", views.disclosure, name="disclosure"),
    path("contracts/<str:contract_id>/pay/", views.pay, name="pay"),
    path("bank/", views.bank, name="bank"),
    path("orders/", views.order_list, name="orders"),
    path("orders/<str:order_id>/", views.order, name="order"),
    path("orders/<str:order_id>/ask/", views.ask_funder, name="ask"),
]
