"""The pages of the books, in the console."""

from django.urls import URLPattern, URLResolver, path

from fenqi_server.books import desk, views

urlpatterns: list[URLPattern | URLResolver] = [
    path("books/", views.book, name="books"),
    path("books/balance/", desk.balance, name="books_balance"),
    path("books/months/", desk.months, name="books_months"),
    path("books/months/close", desk.close, name="books_close"),
    path("books/months/<str:period>.csv", desk.month_csv, name="books_month_csv"),
    path("books/accounts/", desk.accounts, name="books_accounts"),
    path("books/accounts/<int:code>/", desk.account, name="books_account"),
    path("books/accounts/<int:code>/name", desk.name_account, name="books_name_account"),
    path("books/proofs/", desk.proven, name="books_proofs"),
]
