"""Pages of the console: drafts, differences, reviews, publications, audit."""

from django.urls import URLPattern, URLResolver, path

from fenqi_server.policies import act_desk, desk

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
    path("policy/acts/", act_desk.overview, name="acts"),
    path("policy/acts/stop/<str:plan>/", act_desk.stop, name="stop"),
    path("policy/acts/window/new/", act_desk.window_new, name="window_new"),
    path("policy/acts/window/<str:rule>/extend/", act_desk.window_extend, name="window_extend"),
    path("policy/acts/window/<str:rule>/end", act_desk.window_end, name="window_end"),
    path("policy/acts/looked-at/<uuid:publication_id>", act_desk.looked_at, name="looked_at"),
    path("audit/", desk.audit_log, name="audit"),
]
