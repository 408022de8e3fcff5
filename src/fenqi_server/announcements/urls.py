from django.urls import path

from fenqi_server.announcements import views

app_name = "announcements"

urlpatterns = [
    path("notices/", views.index, name="index"),
    path("notices/<slug:notice>/", views.notice, name="notice"),
    path("notify/", views.ask, name="ask"),
    path("notify/<str:request_id>/", views.request_page, name="request"),
    path("mailbox/", views.mailbox_page, name="mailbox"),
]
