"""Pages of the console: drafts, differences, reviews, publications, audit."""

from django.urls import URLPattern, URLResolver, path

from fenqi_server.policies import desk

urlpatterns: list[URLPattern | URLResolver] = [
    path("policy/", desk.draft_list, name="drafts"),
    path("policy/drafts/new", desk.draft_new, name="draft_new"),
    path("policy/drafts/<uuid:draft_id>/", desk.draft, name="draft"),
    path("policy/drafts/<uuid:draft_id>/edit/", desk.draft_edit, name="draft_edit"),
    path("policy/drafts/<uuid:draft_id>/submit", desk.draft_submit, name="draft_submit"),
    path("policy/drafts/<uuid:draft_id>/base", desk.draft_base, name="draft_base"),
    path("policy/drafts/<uuid:draft_id>/review", desk.draft_review, name="draft_review"),
    path("policy/drafts/<uuid:draft_id>/publish", desk.draft_publish, name="draft_publish"),
    path("policy/drafts/<uuid:draft_id>/withdraw", desk.draft_withdraw, name="draft_withdraw"),
    path("policy/history/", desk.history, name="history"),
    path("policy/history/<uuid:publication_id>/roll-back/", desk.roll_back, name="roll_back"),
    path("audit/", desk.audit_log, name="audit"),
]
