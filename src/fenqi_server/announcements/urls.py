from django.urls import path

from fenqi_server.announcements import guide, views

app_name = "announcements"

urlpatterns = [
    path("help/installments/", guide.guide, name="guide"),
    path("notices/", views.index, name="index"),
    path("notices/<slug:notice>/", views.notice, name="notice"),
]
