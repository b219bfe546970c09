"""``manage.py saga``: look at sagas, and operate them."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError

from outbox.management.command import DatabaseCommand
from outbox.management.operating.options import add_actor, duration, login_name
from outbox.saga import operations, pausing, registry
from outbox.saga.bulk import Chosen, for_each
from outbox.saga.exceptions import SagaError
from outbox.saga.models import Saga
from outbox.saga.printing import as_json, line, told

OPERATIONS: dict[str, tuple[Callable[..., None], str]] = {
    "retry": (operations.retry_now, "try again now, without waiting for the next attempt"),
    "skip": (operations.skip, "pass over a step: it counts as done"),
    "done": (operations.mark_done, "say that a step is done, with the result that it would have had"),
    "compensate": (operations.compensate_now, "turn back: undo what has happened"),
    "resume": (operations.resume, "let a saga that needs attention go on"),
    "cancel": (operations.cancel, "call a saga off, before its pivot"),
    "pause": (operations.pause, "hold a saga, or with --all a whole definition: nothing begins"),
    "unpause": (operations.unpause, "let it go on"),
}
TAKE_STEP = ("retry", "skip", "done", "resume")
NEED_STEP = ("skip", "done")
NOT_FOUND = 3


class Command(DatabaseCommand):
    help = (
        "Look at sagas and operate them. Exit 0: done; 1: refused (or some of many were); 2: wrong usage;"
        " 3: there is no such saga."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        listing = verbs.add_parser("list", help="the chosen sagas, newest first")
        _add_filter(listing)
        listing.add_argument("--limit", type=int, default=50, help="at most so many (default 50)")
        listing.add_argument("--json", action="store_true", help="print a JSON list")
        show = verbs.add_parser("show", help="one saga: its steps and its history")
        show.add_argument("saga", help="its id or its key")
        show.add_argument("--json", action="store_true", help="print a JSON object")
        for verb, (_, text) in OPERATIONS.items():
            _add_operation(verbs.add_parser(verb, help=text), verb)

    def handle(self, *args: Any, **options: Any) -> None:
        verb = options["verb"]
        if verb == "list":
            self._list(options)
        elif verb == "show":
            self._show(options)
        elif options.get("all"):
            self._whole_definition(verb, options)
        elif options["saga"]:
            self._one(verb, options)
        else:
            self._many(verb, options)

    def _list(self, options: dict[str, Any]) -> None:
        found = list(_chosen(options).sagas().reverse()[: options["limit"]])
        if options["json"]:
            self.stdout.write(json.dumps([as_json(saga) for saga in found], indent=2))
            return
        self.stdout.write("\n".join(line(saga) for saga in found) or "No saga is like that.")

    def _show(self, options: dict[str, Any]) -> None:
        saga = _find(options["saga"])
        text = json.dumps(as_json(saga, whole=True), indent=2) if options["json"] else told(saga)
        self.stdout.write(text)

    def _one(self, verb: str, options: dict[str, Any]) -> None:
        saga = _find(options["saga"])
        if options["dry_run"]:
            self.stdout.write(f"Would {verb}: {line(saga)}")
            return
        try:
            OPERATIONS[verb][0](saga.id, **_given(verb, options))
        except (SagaError, ValueError) as error:
            raise CommandError(f"{saga}: {error}") from None
        saga.refresh_from_db()
        self.stdout.write(line(saga))

    def _many(self, verb: str, options: dict[str, Any]) -> None:
        chosen = _chosen(options)
        if chosen.is_everything:
            raise CommandError(
                "Say which: an id or key, or a filter such as --status needs_attention.", returncode=2
            )
        if options["dry_run"]:
            self.stdout.write(f"{chosen.count()} sagas are chosen. Nothing was changed.")
            return
        try:
            done = for_each(chosen, OPERATIONS[verb][0], **_given(verb, options))
        except ValueError as error:
            raise CommandError(str(error), returncode=2) from None
        for saga_id, why in done.refused.items():
            self.stderr.write(f"{saga_id}: {why}")
        self.stdout.write(f"{done.changed} changed, {len(done.refused)} refused.")
        if done.refused:
            sys.exit(1)

    def _whole_definition(self, verb: str, options: dict[str, Any]) -> None:
        name = options["definition"]
        if not name:
            known = ", ".join(registry.names())
            raise CommandError(
                f"Say which definition: --all --definition NAME. Known: {known}.", returncode=2
            )
        change = pausing.pause_definition if verb == "pause" else pausing.unpause_definition
        if options["dry_run"]:
            count = Chosen(definition=name).sagas().exclude(status__in=Saga.ENDED).count()
            self.stdout.write(f"{count} sagas have not ended. Nothing was changed.")
            return
        try:
            change(name, actor=_actor(options), reason=options["reason"])
        except (SagaError, ValueError) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{name} is paused." if verb == "pause" else f"{name} goes on.")


def _add_filter(parser: ArgumentParser) -> None:
    parser.add_argument("--definition", default="", metavar="NAME", help="of this definition")
    parser.add_argument("--status", default="", choices=Saga.Status.values, help="in this status")
    parser.add_argument(
        "--at-step", default="", metavar="STEP", help="that stopped at this step, or are at it"
    )
    parser.add_argument("--error", default="", metavar="TEXT", help="whose error contains this text")
    parser.add_argument(
        "--older-than", type=duration, metavar="AGE", help="started so long ago: 90s, 15m, 12h, 7d, 2w"
    )
    parser.add_argument("--paused", action="store_true", default=None, help="held by a person")


def _add_operation(parser: ArgumentParser, verb: str) -> None:
    parser.add_argument("saga", nargs="?", help="its id or its key; or choose many with the filters")
    _add_filter(parser)
    parser.add_argument("--reason", required=True, help="why: kept in the history")
    add_actor(parser, "who you are: kept in the history")
    parser.add_argument("--dry-run", action="store_true", help="only say how many sagas it would be")
    if verb in TAKE_STEP:
        parser.add_argument("--step", required=verb in NEED_STEP, default="", help="the step that is meant")
    if verb == "done":
        parser.add_argument(
            "--result", type=_json, metavar="JSON", help="the result that the step would have had"
        )
    if verb in ("pause", "unpause"):
        parser.add_argument("--all", action="store_true", help="the whole --definition, also sagas to come")


def _actor(options: dict[str, Any]) -> str:
    if options["by"]:
        return str(options["by"])
    name = login_name()
    return f"{name} (command line)" if name else "command line"


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ArgumentTypeError(f"is not JSON: {error}. Give it as '{{\"id\": 7}}'.") from None


def _chosen(options: dict[str, Any]) -> Chosen:
    return Chosen(
        definition=options["definition"],
        status=options["status"],
        step=options["at_step"],
        error=options["error"],
        older_than=options["older_than"],
        paused=options["paused"],
    )


def _given(verb: str, options: dict[str, Any]) -> dict[str, Any]:
    given = {"actor": _actor(options), "reason": options["reason"]}
    if verb in TAKE_STEP:
        given["step"] = options["step"]
    if verb == "done":
        given["result"] = options["result"]
    return given


def _find(text: str) -> Saga:
    """A saga by its id, else by its key, where that is unique."""
    try:
        found = list(Saga.objects.filter(id=UUID(text)))
    except ValueError:
        found = []
    found = found or list(Saga.objects.filter(definition__in=registry.names(), key=text)[:2])
    if len(found) > 1:
        ids = " or ".join(f"{saga.definition} {saga.id}" for saga in found)
        raise CommandError(f"Several sagas work on {text}: give the id of {ids}.", returncode=2)
    if not found:
        raise CommandError(
            f"There is no saga with the id or key {text}. Try: manage.py saga list", returncode=NOT_FOUND
        )
    return found[0]
