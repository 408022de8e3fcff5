from django.urls import path

from fenqi_server.disclosures import views

app_name = "disclosures"

urlpatterns = [
    path("disclosures/<str:name>/", views.table_in_your_language, name="table-any"),
    path("disclosures/<str:name>/<str:locale>/", views.table, name="table"),
    path("disclosures/<str:name>/<str:locale>/table.pdf", views.table_pdf, name="table-pdf"),
]
