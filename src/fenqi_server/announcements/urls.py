from django.urls import path

from fenqi_server.announcements import feed_views, guide, views

app_name = "announcements"

urlpatterns = [
    path("help/installments/", guide.guide, name="guide"),
    path("announcements/", views.index, name="index"),
    path("announcements/feed.<str:format>", feed_views.feed, name="feed"),
    path("announcements/<slug:notice>/", views.notice, name="notice"),
    path("announcements/<slug:notice>/<int:number>/card.<str:locale>.svg", feed_views.card, name="card"),
    path("ways-to-pay/", views.ways, name="ways"),
    path("ways-to-pay/<slug:family>/", views.way, name="way"),
    path("badge.svg", feed_views.badge, name="badge"),
]
