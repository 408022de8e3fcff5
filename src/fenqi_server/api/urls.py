"""The addresses under /v1/."""

from django.urls import path
from dmr.routing import Router

from fenqi_server.api import (
    announcements,
    autopay,
    controllers,
    deliveries,
    mandates,
    pages,
    policy,
    portal,
    reversals,
    support,
    wishes,
)

router = Router(
    "v1/",
    [
        path("evaluations", controllers.EvaluationController.as_view(), name="evaluations"),
        path("checkout-sessions", controllers.SessionController.as_view(), name="checkout-sessions"),
        path("readings", controllers.ReadingsController.as_view(), name="readings"),
        path("disclosures/<str:digest>", controllers.DisclosureController.as_view(), name="disclosure"),
        path("contracts", controllers.ConfirmationController.as_view(), name="contracts"),
        path("contracts/<str:contract_id>", controllers.ContractController.as_view(), name="contract"),
        path(
            "contracts/<str:contract_id>/payments", controllers.PaymentController.as_view(), name="payments"
        ),
        path(
            "contracts/<str:contract_id>/reversals", reversals.ReversalController.as_view(), name="reversals"
        ),
        path("unapplied-cash", controllers.UnappliedController.as_view(), name="unapplied-cash"),
        path(
            "unapplied-cash/<str:unapplied_id>/match",
            controllers.MatchController.as_view(),
            name="unapplied-match",
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
        path("webhook-deliveries", deliveries.AttemptsController.as_view(), name="webhook-deliveries"),
        path(
            "webhook-deliveries/<str:delivery_id>/replay",
            deliveries.AgainController.as_view(),
            name="webhook-replay",
        ),
        path("announcements", announcements.AnnouncementsController.as_view(), name="announcements"),
        path(
            "announcements/<str:announcement_id>",
            announcements.AnnouncementController.as_view(),
            name="announcement",
        ),
        path("compensations", announcements.CompensationsController.as_view(), name="compensations"),
        path(
            "compensations/<str:compensation_id>/redeem",
            announcements.RedemptionController.as_view(),
            name="compensation-redeem",
        ),
        path("mandates", mandates.MandatesController.as_view(), name="mandates"),
        path("mandates/<str:mandate_id>", mandates.MandateController.as_view(), name="mandate"),
        path(
            "mandates/<str:mandate_id>/withdraw",
            mandates.WithdrawalController.as_view(),
            name="mandate-withdraw",
        ),
        path("autopay-attempts", autopay.AttemptsController.as_view(), name="autopay-attempts"),
        path(
            "autopay-attempts/<str:attempt_id>", autopay.AttemptController.as_view(), name="autopay-attempt"
        ),
        path(
            "autopay-attempts/<str:attempt_id>/outcome",
            autopay.OutcomeController.as_view(),
            name="autopay-outcome",
        ),
        path("policy/snapshot", policy.SnapshotController.as_view(), name="policy-snapshot"),
        path("wishes", wishes.WishesController.as_view(), name="wishes"),
        path("wishes/<str:wish_id>", wishes.WishController.as_view(), name="wish"),
        path("decisions/find", support.FindController.as_view(), name="decisions-find"),
        path("diagnoses/<str:decision_id>", support.DiagnosisController.as_view(), name="diagnosis"),
        path("cases", support.CasesController.as_view(), name="cases"),
        path("cases/<str:case_id>", support.CaseController.as_view(), name="case"),
        path("cases/<str:case_id>/messages", support.CaseMessagesController.as_view(), name="case-messages"),
        path("overrides", support.OverridesController.as_view(), name="overrides"),
        path("overrides/<str:override_id>", support.OverrideController.as_view(), name="override"),
        path(
            "overrides/<str:override_id>/revoke",
            support.OverrideRevokeController.as_view(),
            name="override-revoke",
        ),
        path("portal-links", portal.LinksController.as_view(), name="portal-links"),
        path("payment-slips", portal.SlipsController.as_view(), name="payment-slips"),
        path("inbound-mail", support.InboundMailController.as_view(), name="inbound-mail"),
    ],
)

app_name = "api"

urlpatterns = [
    *router.urls,
    path("openapi.json", pages.openapi_json, name="openapi"),
    path("docs/", pages.docs, name="docs"),
]
