"""Workers, and the broker that brings them their messages: late, twice, or not at all."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from uuid import UUID

from outbox.saga.exceptions import AttemptLost
from outbox.saga.execution import Answer, Attempt, Outcome, Refused
from tests.chaos.simulator.memory import MemoryStore, Sent
from tests.chaos.simulator.world import Violation


class Workers:
    """All of them: each attempt that has begun is in somebody's hands.

    Args:
        dice: all chance comes from here.
        store: the engine's rows.
        counts: what happened how often.
    """

    def __init__(self, dice: random.Random, store: MemoryStore, counts: Counter[str]) -> None:
        self.dice, self.store, self.counts = dice, store, counts
        self.begun: list[Attempt] = []
        self.acted: list[tuple[Attempt, Answer]] = []
        self.delivered: list[tuple[UUID, int]] = []

    def deliver(self) -> None:
        """A due message reaches a worker, which begins."""
        due = [
            id_
            for id_, sent in self.store.messages.items()
            if sent.status == "pending" and sent.due <= self.store.clock
        ]
        if due:
            id_ = self.dice.choice(due)
            self._receive(id_, self._send(id_))

    def duplicate(self) -> None:
        """An earlier delivery comes again."""
        if self.delivered:
            self.counts["duplicates"] += 1
            self._receive(*self.dice.choice(self.delivered))

    def lose_message(self) -> None:
        """A due message is sent, and nobody receives it; or an operator discards it."""
        pending = [id_ for id_, sent in self.store.messages.items() if sent.status == "pending"]
        if pending:
            id_ = self.dice.choice(pending)
            self._send(id_)
            if self.dice.random() < 0.3:
                self.store.messages[id_].status = "failed"
                self.counts["discarded"] += 1

    def resend(self) -> None:
        """What was sent and not consumed is sent again, with the same number."""
        for sent in self.store.messages.values():
            if sent.status == "sent" and not sent.is_consumed:
                sent.status, sent.due, sent.attempts = "pending", self.store.clock, sent.attempts - 1

    def act(self) -> None:
        """A worker asks outside."""
        if self.begun:
            attempt = self.begun.pop(self.dice.randrange(len(self.begun)))
            self.acted.append((attempt, attempt.act()))

    def record(self) -> None:
        """A worker writes down what came of it."""
        if self.acted:
            attempt, answer = self.acted.pop(self.dice.randrange(len(self.acted)))
            is_mine = self._is_current(attempt)
            outcome = self._work(lambda: attempt.record(answer))
            if not (is_mine or isinstance(outcome, Refused)):
                raise Violation(f"the outcome of attempt {attempt.call.attempt} came too late, and counts")

    def crash(self) -> None:
        """A worker dies, before or after its call; what it did outside is done."""
        at_work = self.begun + [attempt for attempt, _ in self.acted]
        if at_work:
            victim = self.dice.choice(at_work)
            self.begun = [attempt for attempt in self.begun if attempt is not victim]
            self.acted = [(attempt, answer) for attempt, answer in self.acted if attempt is not victim]
            self.counts["crashes"] += 1

    def die_at_commit(self) -> None:
        """The next transaction is lost at its commit."""
        self.store.dies_at_commit = True

    def heartbeat(self) -> None:
        """A worker says that it lives."""
        if self.begun:
            attempt = self.dice.choice(self.begun)
            try:
                attempt.heartbeat()
            except AttemptLost:
                self.counts["heartbeats refused"] += 1
                self.begun.remove(attempt)

    def _send(self, id_: UUID) -> int:
        sent = self.store.messages[id_]
        self.store.messages[id_] = Sent("sent", sent.attempts + 1, sent.due)
        self.delivered.append((id_, sent.attempts + 1))
        return sent.attempts + 1

    def _receive(self, id_: UUID, delivery: int) -> None:
        attempt = Attempt(self.store.saga["id"], id_, delivery, "worker")
        if self._work(attempt.begin) is None and attempt.row is not None:
            self.begun.append(attempt)

    def _work(self, do: Callable[[], Outcome | None]) -> Outcome | None:
        """What a worker does, with its bugs: an error that leaves the engine is a task's failure, and comes again."""
        try:
            outcome = do()
        except Violation:
            raise
        except Exception as error:  # noqa: BLE001
            self.counts[f"task failed: {type(error).__name__}"] += 1
            self.resend()
            return Refused("the task failed")
        if isinstance(outcome, Refused):
            self.counts["refused"] += 1
        return outcome

    def _is_current(self, attempt: Attempt) -> bool:
        mine = attempt.row
        return any(
            (row["id"], row["status"], row["attempt"]) == (mine.pk, "running", attempt.call.attempt)
            for row in self.store.rows
            if mine is not None
        )
