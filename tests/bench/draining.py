"""Let a relay drain a full table, and measure nothing but that."""

from __future__ import annotations

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from outbox.conf import conf
from tests.bench.lab import Lab
from tests.bench.meter import Meter
from tests.bench.rows import DUE_FOR, copy_template, settle_down
from tests.harness.processes import Process
from tests.harness.waiting import wait_until

WARM_UP = 100
PATIENCE = 600.0  # seconds for a drain
NEAR = 2000
"""Messages before the end from which on it is looked at more often."""
POLL_SECONDS, REST_SECONDS = 0.01, 0.05
ON_THEIR_WAY = "status IN ('processing', 'sent') AND consumed_at IS NULL"
"""The condition of the index of leased rows."""


@dataclass(frozen=True)
class Drain:
    """One drain: how many messages, in how many seconds, for how many CPU seconds of which process trees."""

    messages: int
    seconds: float
    cpu: Mapping[str, float]

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds

    @property
    def cpu_us(self) -> dict[str, float]:
        """Microseconds of CPU per message, by process tree."""
        return {name: seconds / self.messages * 1e6 for name, seconds in self.cpu.items()}


class Contender(ABC):
    """Something that drains a table into the broker.

    Args:
        lab: where.
        count: how many of its processes run side by side.
    """

    table = "outbox_message"
    template: str

    def __init__(self, lab: Lab, *, template: str = "", count: int = 1, url: str = "") -> None:
        self.lab = lab
        self.template = template or self.template
        self.count = count
        self.url = url or lab.servers.database_url

    @abstractmethod
    def start(self) -> Process:
        """Start one of its processes; it is running when this returns."""

    @abstractmethod
    def is_empty(self, connection: Connection[Any], since: datetime) -> bool:
        """Whether no row that was inserted since then is left to send or to settle."""

    def wake(self, connection: Connection[Any]) -> None:  # noqa: B027  (not everything listens)
        """Tell it that there is work."""

    def clear(self, connection: Connection[Any]) -> None:
        """Take away what the last drain left."""
        connection.execute(f"TRUNCATE {self.table} CASCADE")


class OurRelay(Contender):
    """``manage.py relay``, as it comes."""

    template = "bench_template_task"

    def start(self) -> Process:
        """Start ``manage.py relay``."""
        relay = self.lab.manage("relay", DATABASE_URL=self.url, OUTBOX_WAKE_UP="notify")
        return relay.wait_for("The relay is running")

    def wake(self, connection: Connection[Any]) -> None:
        """As a commit that published does with ``OUTBOX_WAKE_UP=notify``."""
        connection.execute("NOTIFY outbox")

    def is_empty(self, connection: Connection[Any], since: datetime) -> bool:
        """Nothing Pending, nothing Processing: asked so that an index answers, however many old rows there are, and
        without passing the dead entries of earlier drains."""
        leased = since + timedelta(seconds=conf().LEASE)
        found = connection.execute(
            "SELECT EXISTS (SELECT FROM outbox_message WHERE status = 'pending' AND waits_for IS NULL"
            "   AND priority = ANY (ARRAY[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) AND next_attempt_at >= %s),"
            f" EXISTS (SELECT FROM outbox_message WHERE {ON_THEIR_WAY} AND status = 'processing'"
            "   AND locked_until BETWEEN %s AND %s)",  # what is sent is waited for much longer
            [since - DUE_FOR, leased, leased + DUE_FOR / 2],
        ).fetchone()
        return found == (False, False)


class Ceiling(OurRelay):
    """The bare loop, with the batch size of ours."""

    def start(self) -> Process:
        """Start the program."""
        argv = ("python", "-m", "tests.bench.ceiling", str(conf().BATCH_SIZE), "bench")
        return self.lab.start("ceiling", *argv, DATABASE_URL=self.url).wait_for("The ceiling is running")


def drain(contender: Contender, count: int, *, keep: bool = False) -> Drain:
    """One drain of so many messages, by processes that are started, warmed up and ended around it.

    They are frozen while the table is filled: what is measured begins with the first claim of a full table.

    Args:
        keep: leave the rows, for whoever looks at them afterwards.
    """
    lab = contender.lab
    with lab.database(contender.url) as connection:
        contender.clear(connection)
        processes = [contender.start() for _ in range(contender.count)]
        try:
            _warm_up(contender, connection)
            return drain_with(contender, processes, connection, count)
        finally:
            _signal(processes, signal.SIGCONT)
            for process in processes:
                process.kill()
                lab.processes.remove(process)
            if not keep:
                contender.clear(connection)


def drain_with(
    contender: Contender, processes: Sequence[Process], connection: Connection[Any], count: int
) -> Drain:
    """One drain of so many messages, by processes that run already, into an empty broker."""
    lab = contender.lab
    _signal(processes, signal.SIGSTOP)
    _empty_broker(lab)
    since = _fill(contender, connection, count)
    settle_down(connection, contender.table)
    meter = Meter(lab.trees(relay=list(processes)))
    start = time.monotonic()
    _signal(processes, signal.SIGCONT)
    contender.wake(connection)
    _wait(contender, processes, connection, count, since)
    seconds = time.monotonic() - start
    return Drain(count, seconds, meter.used())


def _warm_up(contender: Contender, connection: Connection[Any]) -> None:
    """A few messages first: connections are made, modules loaded."""
    _empty_broker(contender.lab)
    since = _fill(contender, connection, WARM_UP)
    contender.wake(connection)
    with contender.lab.broker as broker:
        wait_until(
            lambda: contender.lab.queued(broker) >= WARM_UP and contender.is_empty(connection, since),
            "the relay to warm up",
        )
    contender.clear(connection)


def _fill(contender: Contender, connection: Connection[Any], count: int) -> datetime:
    """Insert so many messages; returns when, by the database's clock."""
    (since,) = connection.execute("SELECT now()").fetchone() or ()
    copy_template(connection, contender.table, contender.template, count)
    return since


def _wait(
    contender: Contender,
    processes: Sequence[Process],
    connection: Connection[Any],
    count: int,
    since: datetime,
) -> None:
    """Until all is in the broker and settled. It looks rarely: whoever looks takes time from what is measured."""
    lab = contender.lab
    end = time.monotonic() + PATIENCE
    with lab.broker as broker:
        while (queued := lab.queued(broker)) < count or not contender.is_empty(connection, since):
            time.sleep(POLL_SECONDS if count - queued < NEAR else REST_SECONDS)
            dead = [process for process in processes if process.popen.poll() is not None]
            if dead or time.monotonic() > end:
                tails = "\n".join(process.output[-2000:] for process in processes)
                raise AssertionError(f"The table was not drained:\n{tails}")


def _empty_broker(lab: Lab) -> None:
    with lab.broker as broker:
        broker.flushall()


def _signal(processes: Sequence[Process], signum: int) -> None:
    for process in processes:
        if process.popen.poll() is None:
            process.popen.send_signal(signum)
