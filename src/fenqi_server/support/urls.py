from django.urls import path

from fenqi_server.support import views

app_name = "support"

urlpatterns = [
    path("support/", views.mine, name="mine"),
    path("support/new/", views.new, name="new"),
    path("support/cases/<str:case_id>/", views.case, name="case"),
]
