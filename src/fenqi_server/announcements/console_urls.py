"""Pages of the console: announcements and their revisions."""

from django.urls import URLPattern, URLResolver, path

from fenqi_server.announcements import console_views as views

urlpatterns: list[URLPattern | URLResolver] = [
    path("announcements/", views.announcement_list, name="announcements"),
    path("announcements/<slug:notice>/", views.announcement, name="announcement"),
    path("announcements/<slug:notice>/edit/", views.announcement_edit, name="announcement_edit"),
    path("policy/drafts/<uuid:draft_id>/announce", views.draft_announce, name="draft_announce"),
]
