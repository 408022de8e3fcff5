from django.apps import AppConfig


class BudgetsConfig(AppConfig):
    name = "fenqi_server.budgets"
    label = "budgets"
