from django.urls import path

from fenqi_server.demo import views

app_name = "demo"

urlpatterns = [
    path("demo/", views.panel, name="panel"),
    path("demo/clock", views.move, name="move"),
    path("demo/customer", views.customer, name="customer"),
]
