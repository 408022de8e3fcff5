from django.urls import path

from fenqi_server.subscriptions import views

app_name = "subscriptions"

urlpatterns = [
    path("notify/", views.ask, name="ask"),
    path("notify/<str:wish_id>/", views.wish_page, name="wish"),
    path("mailbox/", views.mailbox_page, name="mailbox"),
]
