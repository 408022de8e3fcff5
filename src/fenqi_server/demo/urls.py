from django.urls import path

from fenqi_server.demo import staff, story, views

app_name = "demo"

urlpatterns = [
    path("demo/", views.panel, name="panel"),
    path("demo/clock", views.move, name="move"),
    path("demo/customer", views.customer, name="customer"),
    path("demo/staff/", staff.staff, name="staff"),
    path("demo/staff/in", staff.staff_in, name="staff-in"),
    path("demo/story/", story.story, name="story"),
    path("demo/story/begin", story.begin, name="story-begin"),
    path("demo/story/step", story.step, name="story-step"),
]
