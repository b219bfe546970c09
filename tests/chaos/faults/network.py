"""The network between workers and servers, through a proxy."""

from __future__ import annotations

from tests.chaos.fault import Fault
from tests.chaos.stack import Stack
from tests.harness.proxy import Proxy

OUTAGE = 3.0
COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"
"""PostgreSQL's answer to COMMIT."""

_proxies: dict[str, Proxy] = {}


def behind_proxies(stack: Stack) -> None:
    """All workers reach the database through one proxy, and the broker through another."""
    for name, url in (
        ("DATABASE_URL", stack.servers.database_url),
        ("BROKER_URL", stack.servers.broker_url),
    ):
        _proxies[name] = Proxy(url)
        stack.closing.append(_proxies[name].close)
    stack.usual(**{name: proxy.url for name, proxy in _proxies.items()})


def heal(_: Stack) -> None:
    """The network is whole."""
    for proxy in _proxies.values():
        proxy.heal()


def cut_the_database(stack: Stack) -> int:
    """Cut for a moment, or gone for a while; the broker lives."""
    return _cut(stack, _proxies["DATABASE_URL"])


def cut_the_broker(stack: Stack) -> int:
    """The same with the broker; the database lives."""
    return _cut(stack, _proxies["BROKER_URL"])


def lose_a_commit(_: Stack) -> int:
    """The next COMMIT arrives, and its answer does not: nobody can know what became of it."""
    proxy = _proxies["DATABASE_URL"]
    before = proxy.hits
    proxy.lose_answer(COMMITTED)
    proxy.wait_for_hit(before, 2.0)
    return proxy.hits - before


def _cut(stack: Stack, proxy: Proxy) -> int:
    kind = stack.random.choice(["cut", "refuse", "hang"])
    if kind == "cut":
        return int(proxy.cut() > 0)
    getattr(proxy, kind)()
    stack.hold(OUTAGE)
    proxy.heal()
    return 1


FAULTS = [
    Fault("network-database", "workers are cut off the database", cut_the_database, behind_proxies, heal),
    Fault("network-broker", "workers are cut off the broker", cut_the_broker, behind_proxies, heal),
    Fault(
        "ambiguous-commit",
        "the connection is reset when COMMIT was sent: its answer is lost",
        lose_a_commit,
        behind_proxies,
        heal,
        times=40,
        pause=(0.1, 0.5),
    ),
]
