from django.urls import path

from fenqi_server.demo import staff, views

app_name = "demo"

urlpatterns = [
    path("demo/", views.panel, name="panel"),
    path("demo/clock", views.move, name="move"),
    path("demo/customer", views.customer, name="customer"),
    path("demo/staff/", staff.staff, name="staff"),
    path("demo/staff/in", staff.staff_in, name="staff-in"),
]
