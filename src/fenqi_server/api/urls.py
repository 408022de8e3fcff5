"""The addresses under /v1/."""

from django.urls import path
from dmr.routing import Router

from fenqi_server.api import controllers, pages

router = Router(
    "v1/",
    [
        path("evaluations", controllers.EvaluationController.as_view(), name="evaluations"),
        path("checkout-sessions", controllers.SessionController.as_view(), name="checkout-sessions"),
        path("contracts", controllers.ConfirmationController.as_view(), name="contracts"),
        path("contracts/<str:contract_id>", controllers.ContractController.as_view(), name="contract"),
        path(
            "contracts/<str:contract_id>/payments", controllers.PaymentController.as_view(), name="payments"
        ),
        path("hand-offs/<str:hand_off_id>", controllers.HandOffController.as_view(), name="hand-off"),
        path(
            "hand-offs/<str:hand_off_id>/query",
            controllers.HandOffQueryController.as_view(),
            name="hand-off-query",
        ),
        path("webhook-endpoints", controllers.EndpointsController.as_view(), name="webhook-endpoints"),
        path(
            "webhook-endpoints/<str:endpoint_id>",
            controllers.EndpointController.as_view(),
            name="webhook-endpoint",
        ),
    ],
)

app_name = "api"

urlpatterns = [
    *router.urls,
    path("openapi.json", pages.openapi_json, name="openapi"),
    path("docs/", pages.docs, name="docs"),
]
