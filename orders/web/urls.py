"""The addresses of the shop."""

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from orders.web import views

shop = [
    path("", views.catalogue, name="catalogue"),
    path("orders/", views.order_list, name="order_list"),
    path("orders/<uuid:order_id>/", views.order_page, name="order"),
    path("orders/<uuid:order_id>/progress", views.order_progress, name="order_progress"),
    path("orders/<uuid:order_id>/cancel", views.cancel, name="cancel"),
]

urlpatterns = [
    path("", include((shop, "orders"))),
    path("accounts/login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
]
