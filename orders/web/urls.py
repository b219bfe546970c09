"""The addresses of the shop."""

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from django.views.i18n import set_language

from orders.web.accounts import SignUpView
from orders.web.views import basket, catalogue, checkout, live, orders

shop = [
    path("", catalogue.catalogue, name="catalogue"),
    path("basket/", basket.basket, name="basket"),
    path("basket/<uuid:product_id>/add", basket.add, name="basket_add"),
    path("basket/<uuid:product_id>/change", basket.change, name="basket_change"),
    path("checkout/", checkout.checkout, name="checkout"),
    path("orders/", orders.order_list, name="order_list"),
    path("orders/<uuid:order_id>/", orders.order_page, name="order"),
    path("orders/<uuid:order_id>/progress", orders.order_progress, name="order_progress"),
    path("orders/<uuid:order_id>/events", live.order_events, name="order_events"),
    path("orders/<uuid:order_id>/cancel", orders.cancel, name="cancel"),
]

urlpatterns = [
    path("", include((shop, "orders"))),
    path("accounts/sign-up/", SignUpView.as_view(), name="sign_up"),
    path("accounts/login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("language/", set_language, name="set_language"),
]
