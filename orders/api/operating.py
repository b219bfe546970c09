"""For operators' programs: see sagas, and do with them what the console does. Needs the permission ``operate_saga``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import Http404, HttpRequest
from ninja import Path, Query, Router, Schema
from pydantic import StringConstraints

from orders.api.problems import ProblemError
from orders.api.schemas import Json, Problem
from outbox.saga import api as sagas
from outbox.saga.models import Saga
from outbox.saga.printing import as_json

router = Router(tags=["Operators"])

SagaId = Annotated[UUID, Path(description="The saga's id.")]
Verb = Literal["retry", "skip", "done", "compensate", "resume", "cancel", "pause", "unpause"]
REFUSED: dict[Any, Any] = {200: Json, 401: Problem, 403: Problem, 404: Problem, 409: Problem, 422: Problem}

OPERATIONS: dict[str, Callable[..., None]] = {
    "retry": sagas.retry_now,
    "skip": sagas.skip,
    "done": sagas.mark_done,
    "compensate": sagas.compensate_now,
    "resume": sagas.resume,
    "cancel": sagas.cancel,
    "pause": sagas.pause,
    "unpause": sagas.unpause,
}
TAKE_STEP = ("retry", "skip", "done", "resume")
NEED_STEP = ("skip", "done")


class OperationIn(Schema):
    """What is to be done, and why."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
    step: str = ""
    result: dict[str, Any] | None = None


@router.get("/sagas", summary="Sagas, newest first", response={200: list[Json], 401: Problem, 403: Problem})
def list_sagas(
    request: HttpRequest,
    status: Annotated[Saga.Status | None, Query(description="Only in this status.")] = None,
    definition: Annotated[str, Query(description="Only of this definition.")] = "",
    limit: Annotated[int, Query(ge=1, le=200, description="At most so many.")] = 50,
) -> list[Any]:
    """Those that need attention: `?status=needs_attention`."""
    _require_operator(request)
    found = Saga.objects.order_by("-id")
    found = found.filter(status=status) if status else found
    found = found.filter(definition=definition) if definition else found
    return [as_json(saga) for saga in found[:limit]]


@router.get("/sagas/{uuid:saga_id}", summary="One saga, with its steps and history", response=REFUSED)
def show_saga(request: HttpRequest, saga_id: SagaId) -> Any:
    """Everything that happened to it."""
    _require_operator(request)
    return as_json(_saga(saga_id), whole=True)


@router.post("/sagas/{uuid:saga_id}/{verb}", summary="Operate a saga", response=REFUSED)
def operate(request: HttpRequest, saga_id: SagaId, verb: Verb, asked: OperationIn) -> Any:
    """One transaction, with your name and reason in the saga's history. 409 says why it is not possible now."""
    operator = _require_operator(request)
    _saga(saga_id)
    if verb in NEED_STEP and not asked.step:
        raise ProblemError(422, "invalid_request", "Say which step.", errors=[{"pointer": "#/step"}])
    given: dict[str, Any] = {"actor": operator, "reason": asked.reason}
    given |= {"step": asked.step} if verb in TAKE_STEP else {}
    given |= {"result": asked.result} if verb == "done" else {}
    try:
        OPERATIONS[verb](saga_id, **given)
    except sagas.SagaError as error:
        raise ProblemError(409, "not_possible", str(error)) from None
    return as_json(_saga(saga_id), whole=True)


def _require_operator(request: HttpRequest) -> str:
    """Who asks, if they may operate sagas.

    Raises:
        ProblemError: 403.
    """
    user = request.auth  # type: ignore[attr-defined]  # set by ninja
    if not (user.is_active and user.is_staff and user.has_perm("saga.operate_saga")):
        raise ProblemError(
            403, "not_an_operator", "Only staff with the permission to operate sagas may do this."
        )
    return str(user.get_username())


def _saga(saga_id: UUID) -> Saga:
    try:
        return Saga.objects.get(pk=saga_id)
    except Saga.DoesNotExist:
        raise Http404 from None
