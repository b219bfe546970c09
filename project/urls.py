"""Every address of the site."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from orders.api.urls import api
from project.health import details, healthz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("healthz/details", details, name="health-details"),
    path("admin/", admin.site.urls),
    path("api/", api.urls),
    path("", include("orders.web.urls")),
]
handler400 = "orders.web.errors.bad_request"
handler500 = "orders.web.errors.server_error"
