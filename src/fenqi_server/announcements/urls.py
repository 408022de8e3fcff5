from django.urls import path

from fenqi_server.announcements import views

app_name = "announcements"

urlpatterns = [
    path("notices/", views.index, name="index"),
    path("notices/<slug:notice>/", views.notice, name="notice"),
]
