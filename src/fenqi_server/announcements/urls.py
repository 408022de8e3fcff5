from django.urls import path, register_converter

from fenqi_server.announcements import feed_views, guide, views

app_name = "announcements"


class PolicyId:
    """The id of something in a policy: as a slug, with dots too."""

    regex = "[A-Za-z0-9][A-Za-z0-9_.-]*"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(PolicyId, "policy_id")

urlpatterns = [
    path("help/installments/", guide.guide, name="guide"),
    path("announcements/", views.index, name="index"),
    path("announcements/feed.<str:format>", feed_views.feed, name="feed"),
    path("announcements/<policy_id:notice>/", views.notice, name="notice"),
    path("announcements/<policy_id:notice>/<int:number>/card.<str:locale>.svg", feed_views.card, name="card"),
    path("ways-to-pay/", views.ways, name="ways"),
    path("ways-to-pay/<policy_id:family>/", views.way, name="way"),
    path("badge.svg", feed_views.badge, name="badge"),
]
