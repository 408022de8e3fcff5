from django.urls import path

from fenqi_server.funders import views

app_name = "funders"

urlpatterns = [
    path("funders/pretend/<str:hand_off>/", views.pretend_page, name="pretend"),
    path("funders/go/<str:hand_off>/", views.go_on, name="go"),
    path("funders/return/<str:hand_off>/", views.come_back, name="return"),
]
