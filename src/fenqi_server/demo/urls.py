from django.urls import path

from fenqi_server.demo import staff, story, views, year_views

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
    path("demo/year/", year_views.year_page, name="year"),
    path("demo/year/begin", year_views.begin, name="year-begin"),
    path("demo/year/on", year_views.on, name="year-on"),
    path("demo/year/contract", year_views.contract, name="year-contract"),
]
