from django.urls import path

from fenqi_server.papers import views

app_name = "papers"

urlpatterns = [
    path("papers/<str:token>/", views.statement, name="statement"),
    path("papers/<str:token>/statement.pdf", views.statement_pdf, name="statement-pdf"),
    path("papers/<str:token>/statement.csv", views.statement_csv, name="statement-csv"),
    path("papers/<str:token>/due-dates.ics", views.due_dates, name="due-dates"),
]
