"""The seam between the engine and a database: every write of it, each atomic, each under its fence.

The same tests hold for all of them (``tests/integration/outbox/test_portability.py`` runs them on each). All times are
the database's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from uuid import UUID

from outbox.rows import NewMessage
from outbox.store.records import Claim, Failure, Floors, Rescued, Run, Unsettled


class Store(ABC):
    """See :mod:`outbox.claims` and :mod:`outbox.consumption` for what each of these means."""

    # --- the relay's half -------------------------------------------------------------------------------------------
    @abstractmethod
    def claim(self, limit: int, by: str, lease: float, floors: Floors) -> Claim:
        """Pending → Processing."""

    @abstractmethod
    def renew(self, ids: Sequence[UUID], lock_id: UUID, lease: float) -> int:
        """Begin the leases anew."""

    @abstractmethod
    def settle_sent(self, ids: Sequence[UUID], lock_id: UUID, resend_after: float, cap: float) -> int:
        """Processing → Sent. Never waits for a consumer that holds its row."""

    @abstractmethod
    def settle_failed(self, failures: Sequence[Failure], lock_id: UUID, worker: str) -> int:
        """Processing → Pending or Failed, each with an attempt. Never waits for a consumer that holds its row.

        Attempts are refunded as in :meth:`fail`.
        """

    @abstractmethod
    def unsettled(self, attempts: Mapping[UUID, int], lock_id: UUID) -> Unsettled:
        """What a settle did not find, by the attempts of this claim: still ours, or gone because the lease ran out."""

    @abstractmethod
    def release(self, ids: Sequence[UUID], lock_id: UUID) -> int:
        """Processing → Pending, the attempt refunded."""

    @abstractmethod
    def defer(self, delays: Sequence[tuple[UUID, float]], lock_id: UUID) -> int:
        """Processing → Pending and due later, the attempt refunded."""

    @abstractmethod
    def hold(self, pairs: Sequence[tuple[UUID, UUID]], lock_id: UUID) -> int:
        """Processing → Pending, each message waiting for a pause, where that still stands; the attempt refunded."""

    @abstractmethod
    def free(self, ids: Sequence[UUID]) -> int:
        """Let go what waits for these, where they are over."""

    @abstractmethod
    def heal(self, limit: int) -> int:
        """Let go what waits for something that is over or gone."""

    @abstractmethod
    def rescue(self, limit: int, max_lost: int, max_resends: int) -> Rescued:
        """Bring back what is past its lease; Failed what was lost, or sent again, so many times."""

    # --- the consumer's half ----------------------------------------------------------------------------------------
    @abstractmethod
    def consume(self, message_id: UUID, attempt: int, consumer: str) -> bool | None:
        """Mark it consumed, where it is addressed to ``consumer`` (if that is not empty).

        Returns whether it has a key; ``None`` when nothing was changed.
        """

    @abstractmethod
    def take_lease(
        self, message_id: UUID, attempt: int, seconds: float, lock_id: UUID, worker: str, consumer: str
    ) -> bool:
        """Hold it for long work, where it is addressed to ``consumer`` (if that is not empty)."""

    @abstractmethod
    def finish_lease(self, message_id: UUID, lock_id: UUID) -> bool | None:
        """Mark long work as consumed. Returns as :meth:`consume`."""

    @abstractmethod
    def fail(self, run: Run, error: str, delay: float | None, stage: str) -> bool:
        """Note a failed consumption (or one that was lost, or not known, says ``stage``): again later, or Failed.

        The attempt of one that was not known is refunded, unless it is Failed.
        """

    @abstractmethod
    def reschedule(self, run: Run, error: str, row: NewMessage) -> bool:
        """Make it the message that a task asked for; also when this very transaction has marked it consumed."""

    @abstractmethod
    def rearm(self, message_id: UUID, delay: float, error: str, worker: str) -> bool:
        """Make it due again, consumed or not."""

    @abstractmethod
    def call_off(self, message_id: UUID, reason: str) -> bool | None:
        """Close it. Returns as :meth:`consume`."""
