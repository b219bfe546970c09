"""Results of tasks, as Celery's workers wrote them; for reading."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django_celery_results import admin as _results  # noqa: F401  (registers its models, to be replaced here)
from django_celery_results.models import GroupResult, TaskResult

from outbox.admin.base import ConsoleAdmin, ReadOnlyMixin, shown
from outbox.admin.ids import uuid_of
from outbox.admin.json_view import pretty_json
from outbox.admin.links import Link, flower_links
from outbox.admin.privacy import may_see
from outbox.admin.rendering import code, distance, label, long_text, moment
from outbox.models import Message
from outbox.redaction import mask_of

COLOURS = {
    "SUCCESS": "success",
    "FAILURE": "danger",
    "RETRY": "warning",
    "STARTED": "primary",
    "PENDING": "info",
}
TASK = (
    ("state", "task_name"),
    ("worker", "identity"),
    ("started", "done"),
    ("created", "periodic_task_name"),
)
CONTENT = ("arguments", "keywords", "outcome", "trace")

for model in (TaskResult, GroupResult):
    admin.site.unregister(model)


def _readable(text: str | None) -> SafeString:
    """JSON in colour where it is JSON, else the text as it is."""
    try:
        return pretty_json(json.loads(text or ""))
    except ValueError:
        return long_text(text or "")


@admin.register(TaskResult)
class TaskResultAdmin(ReadOnlyMixin, ConsoleAdmin):
    """What each task answered."""

    list_display = ("task_name", "state", "task_id", "worker", "age")
    list_filter = ("status",)
    search_fields = ("=task_id", "task_name")
    search_help_text = _("Task id or name")
    sortable_by = ()
    ordering = ("-id",)
    fieldsets = ((None, {"fields": TASK}), (_("Content"), {"fields": CONTENT}))

    identity = shown("task_id", _("task id"), code)
    age = shown("date_done", _("done"), distance)
    created = shown("date_created", _("created at"), moment)
    started = shown("date_started", _("started at"), moment)
    done = shown("date_done", _("done at"), moment)
    arguments = shown("task_args", _("arguments"), _readable)
    keywords = shown("task_kwargs", _("keyword arguments"), _readable)
    outcome = shown("result", _("result"), _readable)
    trace = shown("traceback", _("traceback"), lambda text: long_text(text or ""))

    @admin.display(description=_("state"))
    def state(self, result: TaskResult) -> SafeString:
        """Celery's state in colour."""
        return label(result.status, COLOURS.get(result.status, ""))

    def for_list(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The list shows no contents."""
        return rows.defer("task_args", "task_kwargs", "result", "traceback", "meta")

    def hide(self, request: HttpRequest, obj: Any) -> None:
        """Personal data, from who may not see it: by the task's own parameters, and by name."""
        deferred = obj.get_deferred_fields()
        if may_see(request) or "task_kwargs" in deferred:
            return
        mask = mask_of(obj.task_name or "")
        obj.task_args, obj.task_kwargs, obj.result = (
            mask.representation(text) if text else text
            for text in (obj.task_args, obj.task_kwargs, obj.result)
        )
        obj.traceback = mask.text(obj.traceback or "")

    def links(self, request: HttpRequest, obj: TaskResult) -> Iterable[Link]:
        """The message that it came from, and the task in Flower."""
        id_ = uuid_of(obj.task_id)
        if id_ and request.user.has_perm("outbox.view_message") and Message.objects.filter(pk=id_).exists():
            yield Link(reverse("admin:outbox_message_change", args=[id_]), str(_("Message")))
        yield from flower_links(obj.task_id)


@admin.register(GroupResult)
class GroupResultAdmin(ReadOnlyMixin, ConsoleAdmin):
    """What each group of tasks answered."""

    list_display = ("group_id", "date_done")
    search_fields = ("=group_id",)
    ordering = ("-id",)
