"""Pages of the console: cases, diagnosis, special cases, reply templates."""

from django.urls import URLPattern, URLResolver, path

from fenqi_server.support import desk

urlpatterns: list[URLPattern | URLResolver] = [
    path("cases/", desk.queue, name="cases"),
    path("cases/find/", desk.find, name="find"),
    path("cases/templates/", desk.reply_templates, name="templates"),
    path("cases/templates/retire", desk.reply_template_retire, name="template_retire"),
    path("cases/<str:case_id>/", desk.case, name="case"),
    path("cases/<str:case_id>/reply", desk.reply, name="case_reply"),
    path("cases/<str:case_id>/note", desk.note, name="case_note"),
    path("cases/<str:case_id>/assign", desk.assign, name="case_assign"),
    path("cases/<str:case_id>/close", desk.close, name="case_close"),
    path("diagnosis/<str:decision_id>/", desk.diagnosis, name="diagnosis"),
    path("special/", desk.special_cases, name="overrides"),
    path("special/new/", desk.special_case_new, name="override_new"),
    path("special/<str:override_id>/", desk.special_case, name="override"),
    path("special/<str:override_id>/approve", desk.special_case_approve, name="override_approve"),
    path("special/<str:override_id>/refuse", desk.special_case_refuse, name="override_refuse"),
    path("special/<str:override_id>/revoke", desk.special_case_revoke, name="override_revoke"),
    path("special/<str:override_id>/withdraw", desk.special_case_withdraw, name="override_withdraw"),
]
