"""The project's addresses, and that of the synchronous view."""

from __future__ import annotations

from django.urls import include, path

from tests.bench.app.views import order_in_the_request

urlpatterns = [path("bench/orders", order_in_the_request), path("", include("project.urls"))]
