"""The addresses under /v1/."""

from django.urls import path
from dmr.routing import Router

from fenqi_server.api import (
    acts,
    announcements,
    asking,
    autopay,
    controllers,
    deliveries,
    goods,
    leases,
    mandates,
    pages,
    policy,
    portal,
    reminders,
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
        path(
            "contracts/<str:contract_id>/payoff-quotes",
            goods.PayoffsController.as_view(),
            name="contract-payoff-quotes",
        ),
        path(
            "contracts/<str:contract_id>/payoff-quotes/<str:quote_id>",
            goods.PayoffController.as_view(),
            name="contract-payoff-quotes-one",
        ),
        path(
            "contracts/<str:contract_id>/return-preview",
            goods.ReturnPreviewController.as_view(),
            name="contract-return-preview",
        ),
        path(
            "contracts/<str:contract_id>/returns", goods.ReturnsController.as_view(), name="contract-returns"
        ),
        path(
            "contracts/<str:contract_id>/refunds", goods.RefundsController.as_view(), name="contract-refunds"
        ),
        path(
            "contracts/<str:contract_id>/shipments",
            acts.ShipmentController.as_view(),
            name="contract-shipments",
        ),
        path(
            "contracts/<str:contract_id>/cancellation",
            acts.CancellationController.as_view(),
            name="contract-cancellation",
        ),
        path(
            "contracts/<str:contract_id>/due-day-preview",
            acts.DueDayPreviewController.as_view(),
            name="contract-due-day-preview",
        ),
        path("contracts/<str:contract_id>/due-day", acts.DueDayController.as_view(), name="contract-due-day"),
        path(
            "contracts/<str:contract_id>/instructions",
            acts.InstructionController.as_view(),
            name="contract-instructions",
        ),
        path("contracts/<str:contract_id>/charges", acts.ChargeController.as_view(), name="contract-charges"),
        path(
            "contracts/<str:contract_id>/acceleration",
            acts.AccelerationController.as_view(),
            name="contract-acceleration",
        ),
        path(
            "contracts/<str:contract_id>/relief-preview",
            acts.ReliefPreviewController.as_view(),
            name="contract-relief-preview",
        ),
        path("contracts/<str:contract_id>/relief", acts.ReliefController.as_view(), name="contract-relief"),
        path(
            "contracts/<str:contract_id>/goodwill",
            asking.GoodwillController.as_view(),
            name="contract-goodwill",
        ),
        path(
            "contracts/<str:contract_id>/waivers", asking.WaiverController.as_view(), name="contract-waivers"
        ),
        path(
            "contracts/<str:contract_id>/write-off",
            asking.WriteOffController.as_view(),
            name="contract-write-off",
        ),
        path(
            "contracts/<str:contract_id>/recoveries",
            acts.RecoveryController.as_view(),
            name="contract-recoveries",
        ),
        path(
            "contracts/<str:contract_id>/unapplied-refunds",
            acts.HeldRefundController.as_view(),
            name="contract-unapplied-refunds",
        ),
        path(
            "contracts/<str:contract_id>/pay-backs",
            acts.PayBackController.as_view(),
            name="contract-pay-backs",
        ),
        path(
            "contracts/<str:contract_id>/explanation",
            acts.ExplanationController.as_view(),
            name="contract-explanation",
        ),
        path(
            "contracts/<str:contract_id>/requests",
            asking.ContractRequestsController.as_view(),
            name="contract-requests",
        ),
        path(
            "contracts/<str:contract_id>/lease/hand-over",
            leases.HandOverController.as_view(),
            name="contract-lease-hand-over",
        ),
        path(
            "contracts/<str:contract_id>/lease/return",
            leases.LeaseReturnController.as_view(),
            name="contract-lease-return",
        ),
        path(
            "contracts/<str:contract_id>/lease/inspection",
            leases.InspectionController.as_view(),
            name="contract-lease-inspection",
        ),
        path(
            "contracts/<str:contract_id>/lease/renewal",
            leases.RenewalController.as_view(),
            name="contract-lease-renewal",
        ),
        path(
            "contracts/<str:contract_id>/lease/buyout-preview",
            leases.BuyoutPreviewController.as_view(),
            name="contract-lease-buyout-preview",
        ),
        path(
            "contracts/<str:contract_id>/lease/buyout",
            leases.BuyoutController.as_view(),
            name="contract-lease-buyout",
        ),
        path(
            "contracts/<str:contract_id>/lease/deposit-hold",
            leases.DepositHoldController.as_view(),
            name="contract-lease-deposit-hold",
        ),
        path(
            "contracts/<str:contract_id>/lease/deposit-application",
            leases.DepositApplicationController.as_view(),
            name="contract-lease-deposit-application",
        ),
        path(
            "contracts/<str:contract_id>/lease/deposit-release",
            leases.DepositReleaseController.as_view(),
            name="contract-lease-deposit-release",
        ),
        path(
            "contracts/<str:contract_id>/pledge/authorisation",
            leases.AuthorisationController.as_view(),
            name="contract-pledge-authorisation",
        ),
        path(
            "contracts/<str:contract_id>/pledge/capture",
            leases.CaptureController.as_view(),
            name="contract-pledge-capture",
        ),
        path(
            "contracts/<str:contract_id>/pledge/release",
            leases.PledgeReleaseController.as_view(),
            name="contract-pledge-release",
        ),
        path("requests", asking.RequestsController.as_view(), name="requests"),
        path("requests/<str:request_id>", asking.RequestController.as_view(), name="request"),
        path("requests/<str:request_id>/approve", asking.ApproveController.as_view(), name="request-approve"),
        path("requests/<str:request_id>/decline", asking.DeclineController.as_view(), name="request-decline"),
        path(
            "requests/<str:request_id>/withdraw", asking.WithdrawController.as_view(), name="request-withdraw"
        ),
        path("unapplied-cash", controllers.UnappliedController.as_view(), name="unapplied-cash"),
        path(
            "unapplied-cash/<str:unapplied_id>/match",
            controllers.MatchController.as_view(),
            name="unapplied-match",
        ),
        path(
            "unapplied-cash/<str:unapplied_id>/undo-match",
            asking.UndoMatchController.as_view(),
            name="unapplied-undo-match",
        ),
        path(
            "unapplied-cash/<str:unapplied_id>/refund",
            asking.MoneyRefundController.as_view(),
            name="unapplied-refund",
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
        path("reminder-wishes", reminders.ReminderWishController.as_view(), name="reminder-wishes"),
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
