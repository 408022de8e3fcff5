"""Who may open what: one row for every address of the service. A new address without a row fails `test_matrix`.

| Kind | Who gets in |
|---|---|
| `PUBLIC` | everybody; what is a secret there stands in the address (a signed link) or is said by nobody |
| `SHOPPER` | the demo's customer in use, and only what is theirs; in an installation that is no demo: nobody, 404 |
| `CUSTOMER` | whoever came by the shop's link, for what is theirs alone; without it, a page that says how to come: 403 |
| `DEMO` | whoever looks at a demo; elsewhere nobody, 404 |
| `ENTRANCE` | whoever is on the way in |
| `OWN` | whoever signed in, for their own account |
| `staff(...)` | the shop's staff with one of the roles (none named: with any), signed in with a second factor |
| `api(...)` | a key of the shop with the scope of the method |
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    kind: str
    roles: frozenset[str] = frozenset()
    scopes: dict[str, str] = field(default_factory=dict)


PUBLIC, SHOPPER, CUSTOMER, DEMO, ENTRANCE, OWN = (
    Row(kind) for kind in ("public", "shopper", "customer", "demo", "entrance", "own")
)


def staff(*roles: str) -> Row:
    return Row("staff", frozenset(roles))


def api(**scopes: str) -> Row:
    return Row("api", scopes=scopes)


TABLE: dict[str, Row] = {
    "healthz": PUBLIC,
    # The API: a shop's server with its key.
    "v1/evaluations": api(POST="evaluations:write"),
    "v1/checkout-sessions": api(POST="sessions:write"),
    "v1/readings": api(POST="contracts:write"),
    "v1/disclosures/<str:digest>": api(GET="contracts:read"),
    "v1/contracts": api(GET="contracts:read", POST="contracts:write"),
    "v1/contracts/<str:contract_id>": api(GET="contracts:read"),
    "v1/contracts/<str:contract_id>/payments": api(POST="payments:write"),
    "v1/contracts/<str:contract_id>/reversals": api(POST="payments:write"),
    "v1/unapplied-cash": api(GET="contracts:read"),
    "v1/unapplied-cash/<str:unapplied_id>/match": api(POST="payments:write"),
    "v1/policy/snapshot": api(GET="evaluations:write"),
    "v1/webhook-deliveries": api(GET="webhooks:manage"),
    "v1/webhook-deliveries/<str:delivery_id>/replay": api(POST="webhooks:manage"),
    "v1/hand-offs/<str:hand_off_id>": api(GET="hand_offs:read"),
    "v1/hand-offs/<str:hand_off_id>/query": api(POST="hand_offs:write"),
    "v1/webhook-endpoints": api(GET="webhooks:manage", POST="webhooks:manage"),
    "v1/webhook-endpoints/<str:endpoint_id>": api(DELETE="webhooks:manage"),
    "console/announcements/": staff(),
    "console/announcements/<slug:notice>/": staff(),
    "console/announcements/<slug:notice>/edit/": staff("author"),
    "console/policy/drafts/<uuid:draft_id>/announce": staff("author"),
    "v1/announcements": PUBLIC,
    "v1/announcements/<str:announcement_id>": PUBLIC,
    "v1/compensations": api(GET="compensations:read"),
    "v1/compensations/<str:compensation_id>/redeem": api(POST="compensations:write"),
    "v1/mandates": api(GET="mandates:read", POST="mandates:write"),
    "v1/mandates/<str:mandate_id>": api(GET="mandates:read"),
    "v1/mandates/<str:mandate_id>/withdraw": api(POST="mandates:write"),
    "v1/autopay-attempts": api(GET="mandates:read"),
    "v1/autopay-attempts/<str:attempt_id>": api(GET="mandates:read"),
    "v1/autopay-attempts/<str:attempt_id>/outcome": api(POST="autopay:write"),
    "v1/wishes": api(POST="wishes:write"),
    "v1/wishes/<str:wish_id>": api(GET="wishes:write", DELETE="wishes:write"),
    "v1/decisions/find": api(POST="diagnosis:read"),
    "v1/diagnoses/<str:decision_id>": api(GET="diagnosis:read"),
    "v1/cases": api(GET="cases:read", POST="cases:write"),
    "v1/cases/<str:case_id>": api(GET="cases:read"),
    "v1/cases/<str:case_id>/messages": api(POST="cases:write"),
    "v1/overrides": api(GET="overrides:read", POST="overrides:write"),
    "v1/overrides/<str:override_id>": api(GET="overrides:read"),
    "v1/overrides/<str:override_id>/revoke": api(POST="overrides:write"),
    "v1/portal-links": api(POST="portal_links:write"),
    "v1/payment-slips": api(POST="payments:write"),
    "v1/inbound-mail": api(POST="mail:write"),
    "v1/openapi.json": PUBLIC,
    "v1/docs/": PUBLIC,
    # What the public is told, and who asked to be told.
    "help/installments/": PUBLIC,
    "announcements/": PUBLIC,
    "disclosures/<str:name>/": PUBLIC,
    "disclosures/<str:name>/<str:locale>/": PUBLIC,
    "disclosures/<str:name>/<str:locale>/table.pdf": PUBLIC,
    "announcements/<policy_id:notice>/": PUBLIC,
    "announcements/<policy_id:notice>/<int:number>/card.<str:locale>.svg": PUBLIC,
    "announcements/feed.<str:format>": PUBLIC,
    "ways-to-pay/": PUBLIC,
    "ways-to-pay/<policy_id:family>/": PUBLIC,
    "badge.svg": PUBLIC,
    "notify/": CUSTOMER,
    "notify/subscribe/": PUBLIC,
    "notify/asked/": PUBLIC,
    "notify/mine/": CUSTOMER,
    "notify/confirm/<str:public_id>/": PUBLIC,
    "notify/manage/<str:public_id>/": PUBLIC,
    "notify/off/<str:public_id>/": PUBLIC,
    "notify/<str:wish_id>/": PUBLIC,
    "mailbox/": SHOPPER,
    # A contract's papers, for whoever has their signed address.
    "papers/<str:token>/": PUBLIC,
    "papers/<str:token>/due-dates.ics": PUBLIC,
    "papers/<str:token>/statement.csv": PUBLIC,
    "papers/<str:token>/statement.pdf": PUBLIC,
    # The customer's own pages.
    "support/": CUSTOMER,
    "support/new/": CUSTOMER,
    "support/cases/<str:case_id>/": CUSTOMER,
    "language/": PUBLIC,
    "": SHOPPER,
    "product/<slug:sku>/": SHOPPER,
    "cart/": SHOPPER,
    "cart/name": SHOPPER,
    "checkout/": SHOPPER,
    "checkout/tell": SHOPPER,
    "checkout/sheet": SHOPPER,
    "portal/in/": PUBLIC,
    "portal/out/": CUSTOMER,
    "account/": CUSTOMER,
    "contracts/": CUSTOMER,
    "contracts/<str:contract_id>/": CUSTOMER,
    "contracts/<str:contract_id>/disclosure/": CUSTOMER,
    "contracts/<str:contract_id>/pay/": CUSTOMER,
    "contracts/<str:contract_id>/pay-off/": CUSTOMER,
    "contracts/<str:contract_id>/return/": CUSTOMER,
    "contracts/<str:contract_id>/due-day/": CUSTOMER,
    "contracts/<str:contract_id>/help/": CUSTOMER,
    "contracts/<str:contract_id>/take-back/": CUSTOMER,
    "contracts/<str:contract_id>/parcel/": CUSTOMER,
    "bank/": CUSTOMER,
    "orders/": SHOPPER,
    "orders/<str:order_id>/": SHOPPER,
    "orders/<str:order_id>/ask/": SHOPPER,
    "funders/pretend/<str:hand_off>/": DEMO,
    "funders/go/<str:hand_off>/": PUBLIC,
    "funders/return/<str:hand_off>/": SHOPPER,
    "demo/": DEMO,
    "demo/clock": DEMO,
    "demo/customer": DEMO,
    "demo/staff/": DEMO,
    "demo/staff/in": DEMO,
    "demo/story/": DEMO,
    "demo/story/begin": DEMO,
    "demo/story/step": DEMO,
    # What makes an option come and go.
    "console/agreements/": staff("author", "reviewer", "publisher", "finance", "auditor"),
    "console/agreements/seen": staff("author", "publisher"),
    "console/health/": staff(),
    "console/health/<slug:funder>/": staff(),
    "console/health/<slug:funder>/override": staff("publisher"),
    "console/health/<slug:funder>/override/end": staff("publisher"),
    "console/calendar/": staff(),
    "console/budgets/": staff("author", "reviewer", "publisher", "finance", "auditor"),
    "console/pilots/": staff("author", "reviewer", "publisher", "auditor"),
    "console/pilots/<uuid:publication>/widen": staff("publisher"),
    "console/pilots/<uuid:publication>/end": staff("publisher"),
    # The way in.
    "console/start/<uidb64>/<token>/": ENTRANCE,
    "console/sign-in/": ENTRANCE,
    "console/sign-in/passkey/": ENTRANCE,
    "console/sign-in/second/": ENTRANCE,
    "console/sign-in/again/": ENTRANCE,
    "console/sign-in/again/code/": ENTRANCE,
    "console/sign-in/again/passkey/": ENTRANCE,
    "console/sign-in/inactive/": ENTRANCE,
    "console/sign-out/": ENTRANCE,
    "console/me/": OWN,
    "console/me/password/": OWN,
    "console/me/app/": OWN,
    "console/me/app/remove/": OWN,
    "console/me/passkeys/": OWN,
    "console/me/passkeys/add/": OWN,
    "console/me/passkeys/<int:pk>/name/": OWN,
    "console/me/passkeys/<int:pk>/remove/": OWN,
    "console/me/codes/": OWN,
    "console/me/codes/new/": OWN,
    "console/me/codes/download/": OWN,
    # The console.
    "console/": staff(),
    "console/shop": staff(),
    "console/timeline/": staff(),
    "console/books/": staff("finance", "auditor"),
    "console/books/balance/": staff("finance", "auditor"),
    "console/books/months/": staff("finance", "auditor"),
    "console/books/months/close": staff("finance"),
    "console/books/months/<str:period>.csv": staff("finance", "auditor"),
    "console/books/accounts/": staff("finance", "auditor"),
    "console/books/accounts/<int:code>/": staff("finance", "auditor"),
    "console/books/accounts/<int:code>/name": staff("finance"),
    "console/books/proofs/": staff("finance", "auditor"),
    # Finance imports and clears, what is above the limit by two people; the auditor reads.
    "console/reconciliation/": staff("finance", "auditor"),
    "console/reconciliation/import": staff("finance"),
    "console/reconciliation/settlement": staff("finance"),
    "console/reconciliation/breaks/<uuid:break_id>/": staff("finance", "auditor"),
    "console/reconciliation/breaks/<uuid:break_id>/ask": staff("finance"),
    "console/reconciliation/breaks/<uuid:break_id>/decide": staff("finance"),
    "console/closings/": staff("finance", "auditor"),
    # What is offered: written by authors, looked at by reviewers, put in force by publishers alone.
    "console/policy/": staff("author", "reviewer", "publisher", "auditor"),
    "console/policy/drafts/new": staff("author"),
    "console/policy/drafts/<uuid:draft_id>/": staff("author", "reviewer", "publisher", "auditor"),
    "console/policy/drafts/<uuid:draft_id>/edit/": staff("author"),
    "console/policy/drafts/<uuid:draft_id>/submit": staff("author"),
    "console/policy/drafts/<uuid:draft_id>/base": staff("author"),
    "console/policy/drafts/<uuid:draft_id>/review": staff("reviewer"),
    "console/policy/drafts/<uuid:draft_id>/publish": staff("publisher"),
    "console/policy/drafts/<uuid:draft_id>/withdraw": staff("author", "publisher"),
    "console/policy/history/": staff("author", "reviewer", "publisher", "auditor"),
    "console/policy/history/<uuid:publication_id>/roll-back/": staff("publisher"),
    "console/policy/acts/": staff("author", "reviewer", "publisher", "auditor"),
    "console/policy/acts/stop/<str:plan>/": staff("publisher"),
    "console/policy/acts/window/new/": staff("publisher"),
    "console/policy/acts/window/<str:rule>/extend/": staff("publisher"),
    "console/policy/acts/window/<str:rule>/end": staff("publisher"),
    "console/policy/acts/looked-at/<uuid:publication_id>": staff("reviewer", "publisher"),
    "console/audit/": staff("auditor", "admin"),
    # Customers: whoever answers them; a reviewer and the auditor may see why, and change nothing.
    "console/cases/": staff("support", "supervisor"),
    "console/cases/find/": staff("support", "supervisor", "reviewer", "auditor"),
    "console/cases/templates/": staff("support", "supervisor"),
    "console/cases/templates/retire": staff("support", "supervisor"),
    "console/cases/<str:case_id>/": staff("support", "supervisor"),
    "console/cases/<str:case_id>/reply": staff("support", "supervisor"),
    "console/cases/<str:case_id>/note": staff("support", "supervisor"),
    "console/cases/<str:case_id>/assign": staff("support", "supervisor"),
    "console/cases/<str:case_id>/close": staff("support", "supervisor"),
    "console/diagnosis/<str:decision_id>/": staff("support", "supervisor", "reviewer", "auditor"),
    # Contracts: read by whoever answers customers, keeps the book or checks it.
    "console/contracts/": staff("support", "supervisor", "finance", "auditor"),
    "console/contracts/<str:contract_id>/": staff("support", "supervisor", "finance", "auditor"),
    # Special cases: asked by support, decided by a supervisor alone.
    "console/special/": staff("support", "supervisor", "auditor"),
    "console/special/new/": staff("support", "supervisor"),
    "console/special/<str:override_id>/": staff("support", "supervisor", "auditor"),
    "console/special/<str:override_id>/approve": staff("supervisor"),
    "console/special/<str:override_id>/refuse": staff("supervisor"),
    "console/special/<str:override_id>/revoke": staff("supervisor"),
    "console/special/<str:override_id>/withdraw": staff("support", "supervisor"),
}
