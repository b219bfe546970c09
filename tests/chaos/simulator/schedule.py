"""One schedule: a saga, and a random interleaving of everything that can happen to it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

from outbox.saga import engine, operations, registry, signals, watchdog
from outbox.saga.exceptions import AttemptLost, SagaRefused
from outbox.saga.execution import Answer, Attempt, Outcome, Refused
from outbox.saga.store import using
from tests.chaos.simulator import making
from tests.chaos.simulator.invariants import Watcher
from tests.chaos.simulator.memory import DiedBeforeCommitError, MemoryStore, Sent
from tests.chaos.simulator.world import NoAnswerError, Violation, World

KEY = "k-1"
EVENTS = 60
PATIENCE = 400
ENDED = ("completed", "compensated")


class Schedule:
    """Runs one seed to its end.

    Args:
        seed: all that there is to know of it.
        trace: told every event, with the saga's status after it.
    """

    def __init__(self, seed: int, trace: Callable[[str], None] | None = None) -> None:
        self.seed = seed
        self.trace = trace
        self.dice = random.Random(seed)
        random.seed(seed)  # what the engine draws for its jitter
        self.store = MemoryStore()
        self.world = World(self.dice, self.store)
        self.definition = making.definition(self.dice, self.world)
        self.watcher = Watcher(self.store, self.world)
        self.begun: list[Attempt] = []
        self.acted: list[tuple[Attempt, Answer]] = []
        self.delivered: list[tuple[UUID, int]] = []
        self.counts: Counter[str] = Counter()
        events = {
            self.deliver: 30, self.act: 25, self.record: 22, self.pass_time: 12, self.sweep: 10, self.duplicate: 8,
            self.crash: 4, self.resend: 4, self.signal: 5, self.operate: 5, self.heartbeat: 3, self.lose_message: 1,
            self.pause_definition: 1, self.deploy: 1, self.die_at_commit: 2,
        }  # fmt: skip
        self.events, self.weights = list(events), list(events.values())

    def run(self) -> Counter[str]:
        """Chaos, then calm until the saga has ended.

        Returns:
            What happened how often.

        Raises:
            Violation: an invariant does not hold.
        """
        registry.add(self.definition)
        try:
            with using(self.store):
                self._start()
                for event in self.dice.choices(self.events, self.weights, k=EVENTS):
                    self._happen(event)
                self._calm_down()
                self.watcher.check_end(self.definition)
        finally:
            registry.remove(self.definition)
        self.counts[f"ended {self.store.saga['status']}"] += 1
        self.counts["duplicates refused"] += sum(row["duplicates_refused"] for row in self.store.rows)
        self.counts["outcomes refused"] += sum(row["outcomes_refused"] for row in self.store.rows)
        self.counts.update({f"fault: {name}": n for name, n in self.world.faults.items()})
        return self.counts

    # Deliveries and workers

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

    # Time, the watchdog, the outside, people

    def pass_time(self) -> None:
        """Up to half a minute goes by."""
        self.store.clock += self.dice.choice([0.5, 2.0, 11.0, 31.0])

    def sweep(self) -> None:
        """A watchdog comes round."""
        watchdog.sweep()

    def signal(self) -> None:
        """The outside world tells of an event, often too early or twice."""
        waits = [step for step in self.definition.steps if step.waits_for]
        if waits:
            step, id_ = self.dice.choice(waits), str(self.dice.randint(1, 2))
            try:
                with self.store.transaction():
                    told = signals.signal(making.NAME, KEY, step.waits_for, {"told": True}, signal_id=id_)
                self.counts[f"signal {told}"] += 1
            except KeyError:  # a hook's bug: its sender is told, and tells it again
                self.counts["signal failed"] += 1

    def operate(self) -> None:
        """A person does something, possible or not."""
        names = [row["name"] for row in self.store.rows]
        step = self.dice.choice(names) if names else "none"
        calm = [
            self.dice.choice([operations.retry_now, operations.resume, operations.pause, operations.unpause])
        ]
        drastic = [operations.cancel, operations.compensate_now, self._skip, self._mark_done]
        operation = self.dice.choice(calm if self.dice.random() < 0.6 else drastic)
        self._operate(operation, step)

    def pause_definition(self) -> None:
        """Or end the pause."""
        self.store.is_definition_paused = not self.store.is_definition_paused

    def deploy(self) -> None:
        """A new version takes the place of the old one."""
        if self.definition.version == 1:
            new = making.next_version(self.definition, self.dice, self.world)
            registry.remove(self.definition)
            registry.add(new)
            self.definition = new
            self.counts["deployed"] += 1

    def _start(self) -> None:
        with self.store.transaction():
            engine.start(making.NAME, KEY)
        self._look("start")

    def _happen(self, event: Callable[[], None]) -> None:
        try:
            event()
        except DiedBeforeCommitError:
            self.counts["died at commit"] += 1
        self.store.dies_at_commit = self.store.dies_at_commit and event == self.die_at_commit
        self._look(event.__name__)

    def _look(self, event: str) -> None:
        self.counts["events"] += 1
        if self.trace is not None:
            rows = " ".join(f"{r['name']}/{r['direction'][0]}:{r['status']}" for r in self.store.rows)
            self.trace(f"{self.store.clock:8.1f} {event:18} {self.store.saga['status']:16} {rows}")
        self.watcher.check(self.definition)

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

    def _operate(self, operation: Callable[..., Any], *args: str) -> bool:
        takes_step = operation in (self._skip, self._mark_done)
        try:
            given = args if takes_step else ()
            operation(self.store.saga["id"], *given, actor="olga", reason="so be it")
        except SagaRefused:
            self.counts["operations refused"] += 1
            return False
        except (KeyError, NoAnswerError):  # a bug of a hook or of a record: nothing has happened
            return False
        self.counts[f"operation {operation.__name__}"] += 1
        return True

    def _skip(self, saga_id: UUID, step: str, *, actor: str, reason: str) -> None:
        self._by_hand(
            step, lambda: operations.skip(saga_id, step, actor=actor, reason=reason), state="undone"
        )

    def _mark_done(self, saga_id: UUID, step: str, *, actor: str, reason: str) -> None:
        done = lambda: operations.mark_done(saga_id, step, {"by": "hand"}, actor=actor, reason=reason)  # noqa: E731
        self._by_hand(step, done, state="live")

    def _by_hand(self, step: str, operation: Callable[[], None], *, state: str) -> None:
        """Somebody undoes it before saying that the undo is skipped or done, or does it before saying so."""
        row = next((r for r in reversed(self.store.rows) if r["name"] == step), None)
        if row is None or self.definition.step(step).waits_for:
            operation()
            return
        is_undo = row["direction"] == "compensation"
        action = self.definition.step(step).action
        key = f"{self.store.saga['id']}:{step}:action"
        with self.store.transaction():
            if is_undo or state == "live":
                self._set_by_hand(
                    key, is_local=bool(action and action.is_local), state="undone" if is_undo else "live"
                )
            operation()

    def _set_by_hand(self, key: str, *, is_local: bool, state: str) -> None:
        before = (dict(self.world.ours), dict(self.world.outside))

        def undo() -> None:
            self.world.ours, self.world.outside = before

        self.store.on_rollback(undo)
        self.world.do_by_hand(key, is_local=is_local, state=state)

    def _calm_down(self) -> None:
        """No more faults: zombies end, messages arrive, people help; the saga has to end."""
        self.world.is_calm, self.store.is_definition_paused = True, False
        for round_ in range(PATIENCE):
            while self.begun or self.acted:
                self._happen(self.act if self.begun else self.record)
            if self.store.saga["status"] in ENDED:
                return
            for event in (self.resend, self.deliver, self.sweep):
                self._happen(event)
            self.store.clock += 5.0
            if round_ % 10 == 9:
                self._help(round_)
        raise Violation(f"it does not end: {self.store.saga['status']}, {self.store.saga['attention']}")

    def _help(self, round_: int) -> None:
        self._operate(operations.unpause)
        if self.store.saga["status"] == "needs_attention" and not self._operate(operations.resume):
            return
        if round_ > PATIENCE / 4:  # a wait past the pivot, whose event never comes
            for row in self.store.rows:
                if row["status"] in ("waiting", "failed"):
                    self._operate(self._skip, row["name"])
        self._look("help")
