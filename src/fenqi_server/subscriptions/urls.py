from django.urls import path

from fenqi_server.subscriptions import views

app_name = "subscriptions"

urlpatterns = [
    path("notify/", views.ask, name="ask"),
    path("notify/subscribe/", views.subscribe, name="subscribe"),
    path("notify/asked/", views.asked, name="asked"),
    path("notify/mine/", views.mine, name="mine"),
    path("notify/confirm/<str:public_id>/", views.confirm, name="confirm"),
    path("notify/manage/<str:public_id>/", views.manage, name="manage"),
    path("notify/off/<str:public_id>/", views.off, name="off"),
    path("notify/<str:wish_id>/", views.wish_page, name="wish"),
    path("mailbox/", views.mailbox_page, name="mailbox"),
]
