"""One message of the rival's own making, for the benchmarks to copy."""

from __future__ import annotations

import django

django.setup()

from django.db import transaction  # noqa: E402
from shop.tasks import book  # noqa: E402

with transaction.atomic():
    book.delay(1, customer="Ada Example", note="x" * 230)
