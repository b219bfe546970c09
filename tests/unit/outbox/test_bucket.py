"""The arithmetic of rate limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from outbox.relay.bucket import Bucket, take

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def bucket(per_second: float = 10, burst: int = 5, tokens: float = 5, line: float = 0) -> Bucket:
    return Bucket(per_second, burst, tokens, NOON, NOON + timedelta(seconds=line), NOON)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_as_many_pass_as_there_are_tokens_and_the_others_line_up() -> None:
    """The line's slots are one after the other, at the rate."""
    changed, delays = take(bucket(per_second=10, burst=5), NOON, [False] * 8)
    assert delays[:5] == [None] * 5
    assert [round(delay or 0, 6) for delay in delays[5:]] == [0.1, 0.2, 0.3]
    assert changed.tokens == 0
    assert changed.last_slot_at == after(0.3)


def test_whoever_comes_later_does_not_overtake_the_line() -> None:
    """Also when there is a token: it is for those in the line."""
    _, delays = take(bucket(tokens=5, line=2), NOON, [False])
    assert delays == [2.1]


def test_whoever_has_waited_passes_when_there_is_a_token() -> None:
    """The line is for those who come after."""
    _, delays = take(bucket(tokens=1, line=2), NOON, [True, True])
    assert delays == [None, 0.1]


def line_of(count: int) -> tuple[Bucket, dict[int, float]]:
    """So many in line at one in a second, and the slot of each; the one before them has just passed."""
    changed, delays = take(bucket(per_second=1, burst=1, tokens=1), NOON, [False] * (count + 1))
    return changed, {number: delay or 0 for number, delay in enumerate(delays)}


def test_whoever_missed_its_slot_does_not_go_to_the_end() -> None:
    """10,000 in line and no relay for an hour: those that have waited longest go on where they were."""
    current, slots = line_of(10_000)
    missed = [slot for slot in slots.values() if 0 < slot <= 3600]
    current, first = take(current, after(3600), [True] * 1000)
    current, second = take(current, after(3600), [True] * (len(missed) - 1000))
    assert first[:3] == [None, 1.0, 2.0]
    assert second[0] == 1000
    assert current.last_slot_at == after(10_000)


def test_after_an_outage_the_line_goes_on_in_its_order_and_at_its_rate() -> None:
    """Each is put off about once more, whatever the outage and the line were."""
    current, slots = line_of(300)
    del slots[0]
    now, passed, put_off = 100.0, [], 0
    while slots:
        due = sorted(number for number, slot in slots.items() if slot <= now)
        current, delays = take(current, after(now), [True] * len(due))
        put_off += sum(delay is not None for delay in delays)
        passed += [number for number, delay in zip(due, delays, strict=True) if delay is None]
        again = {n: now + d for n, d in zip(due, delays, strict=True) if d is not None}
        slots = {n: again.get(n, slot) for n, slot in slots.items() if n not in passed}
        now += 0.5
    assert passed == sorted(passed)
    assert now <= 100 + 300 + 1
    assert put_off <= 300


def test_a_fresh_message_comes_after_those_that_missed_their_slots() -> None:
    """Also when the line had ended before anybody looked."""
    current, _ = line_of(3)
    current, delays = take(current, after(100), [True, True, True])
    assert delays == [None, 1.0, 2.0]
    _, delays = take(current, after(100), [False])
    assert delays == [3.0]


def test_a_quiet_time_fills_the_bucket_and_no_more() -> None:
    """After an hour as after a second: the burst."""
    _, delays = take(bucket(per_second=10, burst=5, tokens=0), after(3600), [False] * 7)
    assert delays.count(None) == 5


def test_everybody_in_line_passes_at_its_slot() -> None:
    """A relay that looks often enough never sends anybody back to the end: one wait is enough."""
    now, current, (waiting, passed) = NOON, bucket(per_second=7, burst=1, tokens=1), ([0.0] * 50, 0)
    while waiting:
        due = [slot for slot in waiting if NOON + timedelta(seconds=slot) <= now]
        waiting = [slot for slot in waiting if NOON + timedelta(seconds=slot) > now]
        current, delays = take(current, now, [slot > 0 for slot in due])
        passed += delays.count(None)
        again = [(now - NOON).total_seconds() + delay for delay in delays if delay is not None]
        assert not (again and due[0] > 0)
        waiting += again
        now = NOON + timedelta(seconds=min(waiting)) if waiting else now
    assert passed == 50


def test_a_clock_set_back_stops_nothing_for_good() -> None:
    """Refilling goes on from the new time."""
    changed, delays = take(bucket(per_second=10, burst=5, tokens=0), after(-3600), [False])
    assert delays[0] is not None
    _, delays = take(changed, after(-3599), [True])
    assert delays == [None]


def test_a_relay_whose_time_is_a_moment_older_sees_no_line() -> None:
    """Statements begin in one order and read in another: that must not look like a line."""
    changed, _ = take(bucket(burst=5, tokens=5), after(1.0), [False])
    _, delays = take(changed, after(0.999), [False])
    assert delays == [None]


def test_no_stamp_comes_twice() -> None:
    """Two takes in one tick of the clock can be told apart."""
    once, _ = take(bucket(), NOON, [False])
    twice, _ = take(once, NOON, [False])
    assert len({NOON, once.refilled_at, twice.refilled_at}) == 3


steps = st.lists(st.tuples(st.floats(0, 5), st.lists(st.booleans(), max_size=30)), min_size=1, max_size=30)


@given(per_second=st.floats(0.05, 500), burst=st.integers(1, 50), steps=steps)
def test_never_more_than_the_rate_and_a_burst(
    per_second: float, burst: int, steps: list[tuple[float, list[bool]]]
) -> None:
    """From any step to any later one, whoever comes when."""
    current, now, passed = bucket(per_second, burst, tokens=burst), 0.0, [(0.0, 0)]
    for wait, arriving in steps:
        now += wait
        current, delays = take(current, after(now), arriving)
        assert len(delays) == len(arriving)
        passed.append((now, passed[-1][1] + delays.count(None)))
    for number, (start, before) in enumerate(passed[:-1]):
        for end, total in passed[number + 1 :]:
            # What passed at the very start belongs to the time before it.
            assert total - before <= per_second * (end - start) + burst + 0.01
