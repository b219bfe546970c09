"""What messages link to here: the saga step that they run, the saga of the same business thing."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from outbox.admin.links import Link, correlation_links, message_links
from outbox.conf import conf
from outbox.models import Message
from outbox.saga import registry
from outbox.saga.models import Saga, SagaStep


@message_links
def step_of(request: HttpRequest, message: Message) -> Iterator[Link]:
    """The step that the message runs."""
    if request.user.has_perm("saga.view_saga"):
        for step in SagaStep.objects.using(conf().DATABASE).filter(message_id=message.id):
            text = _("Saga step: %(step)s") % {"step": step}
            yield Link(reverse("admin:saga_saga_change", args=[step.saga_id]), text)


@correlation_links
def saga_of(request: HttpRequest, correlation_id: str) -> Iterator[Link]:
    """The sagas that work on the thing. The definitions are named, because the index begins with them."""
    if request.user.has_perm("saga.view_saga"):
        sagas = Saga.objects.using(conf().DATABASE).filter(
            definition__in=registry.names(), key=correlation_id
        )
        for saga in sagas.only("id", "definition"):
            text = _("Saga: %(definition)s") % {"definition": saga.definition}
            yield Link(reverse("admin:saga_saga_change", args=[saga.id]), text)
