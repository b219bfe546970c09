"""CPU seconds of process trees: on a noisy machine they say more than the clock on the wall."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import psutil

Trees = Mapping[str, Iterable[int]]


class Meter:
    """Reads how much CPU named process trees have used.

    Args:
        trees: for each name, the ids of the trees' roots.

    A child that has ended counts through its parent, who waited for it; so nothing is lost with a process that
    ends in between. A tree within another one, such as a worker that this process has started, counts by itself only.
    """

    def __init__(self, trees: Trees) -> None:
        self.trees = {name: tuple(roots) for name, roots in trees.items()}
        self._start = self._read()

    def used(self) -> dict[str, float]:
        """CPU seconds since the meter was made, by name."""
        return {name: seconds - self._start[name] for name, seconds in self._read().items()}

    def _read(self) -> dict[str, float]:
        all_roots = frozenset(root for roots in self.trees.values() for root in roots)
        return {
            name: sum(_of_tree(psutil.Process(root), all_roots) for root in roots)
            for name, roots in self.trees.items()
        }


def rss(root: int) -> int:
    """Resident bytes of one process."""
    return int(psutil.Process(root).memory_info().rss)


def _of_tree(process: psutil.Process, roots: frozenset[int]) -> float:
    """Without the trees of other roots."""
    try:
        children = [child for child in process.children() if child.pid not in roots]
    except psutil.NoSuchProcess:
        children = []
    return _of_process(process) + sum(_of_tree(child, roots) for child in children)


def _of_process(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:  # it ended meanwhile: its parent has its time
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)
