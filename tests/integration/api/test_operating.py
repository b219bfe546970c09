"""The operators' part of the API: for staff with the permission, and for nobody else."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission

from outbox.saga.models import Saga
from tests.harness import fulfilling, shop
from tests.integration.api.conftest import Api, api_of, problem

WHY = {"reason": "the customer called"}


@pytest.fixture
def operator(transactional_db: None) -> Api:
    """An operator's program."""
    made = api_of("olga")
    made.customer.is_staff = True
    made.customer.save()
    made.customer.user_permissions.add(Permission.objects.get(codename="operate_saga"))
    return made


@pytest.fixture
def saga(operator: Api) -> Saga:
    """The saga of a newly placed order."""
    shop.product()
    return fulfilling.saga_of(shop.order())


def test_a_customer_may_not_look_and_not_operate(saga: Saga, operator: Api) -> None:
    """403, whether the saga exists or not; nor may staff without the permission."""
    customer = api_of("carl")
    for path in ("/sagas", f"/sagas/{saga.id}", f"/sagas/{uuid4()}"):
        assert problem(customer.get(path), 403)["code"] == "not_an_operator"
    problem(customer.post(f"/sagas/{saga.id}/pause", WHY), 403)
    operator.customer.user_permissions.clear()
    problem(operator.post(f"/sagas/{saga.id}/pause", WHY), 403)
    saga.refresh_from_db()
    assert saga.paused_at is None


def test_sagas_are_seen_and_operated(saga: Saga, operator: Api) -> None:
    """With the operator's name and reason in the history."""
    (found,) = operator.get("/sagas?status=running&definition=orders.fulfilment").json()
    assert found["id"] == str(saga.id)
    assert operator.get("/sagas?status=needs_attention").json() == []
    told = operator.post(f"/sagas/{saga.id}/pause", WHY).json()
    assert told["paused_at"]
    assert (told["history"][-1]["what"], told["history"][-1]["actor"]) == ("paused", "olga")
    assert operator.post(f"/sagas/{saga.id}/unpause", WHY).json()["paused_at"] is None
    told = operator.post(f"/sagas/{saga.id}/cancel", WHY).json()
    assert told["status"] == "compensated"
    assert operator.get(f"/sagas/{saga.id}").json()["steps"][0]["status"] == "cancelled"


def test_what_is_not_possible_is_a_problem(saga: Saga, operator: Api) -> None:
    """With what to do about it, and nothing changed."""
    assert "needs attention" in problem(operator.post(f"/sagas/{saga.id}/resume", WHY), 409)["detail"]
    problem(operator.post(f"/sagas/{saga.id}/pause", {"reason": " "}), 422)
    assert problem(operator.post(f"/sagas/{saga.id}/skip", WHY), 422)["errors"] == [{"pointer": "#/step"}]
    problem(operator.post(f"/sagas/{saga.id}/dance", WHY), 422)
    problem(operator.get(f"/sagas/{uuid4()}"), 404)
