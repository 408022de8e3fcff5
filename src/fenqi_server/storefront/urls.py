"""The mall's own pages; the portal's beside them, and the language switch."""

from django.urls import include, path

from fenqi_server.portal.access_views import language
from fenqi_server.storefront import views

storefront = (
    [
        path("", views.mall, name="mall"),
        path("product/<slug:sku>/", views.product, name="product"),
        path("cart/", views.cart_page, name="cart"),
        path("cart/name", views.cart_name, name="cart-name"),
        path("checkout/", views.checkout, name="checkout"),
        path("checkout/tell", views.tell_us, name="tell"),
        path("checkout/sheet", views.sheet, name="sheet"),
    ],
    "storefront",
)

urlpatterns = [
    path("language/", language, name="language"),
    path("", include(storefront, namespace="storefront")),
    path("", include("fenqi_server.portal.urls")),
]
