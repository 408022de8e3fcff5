from django.urls import path

from fenqi_server.reminders import views

app_name = "reminders"

urlpatterns = [path("reminders/off/<str:token>/", views.off, name="off")]
