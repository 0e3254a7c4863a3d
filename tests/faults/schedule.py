"""Faults at random moments, by a seed: what comes to grief, how, for how long."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tests.faults.system import LEASE_SECONDS, System
from tests.faults.wire import Wire
from tests.servers import Server

LONGEST_SECONDS = 4.0
"""Of a fault. Longer than a lease, shorter than what an attempt waits for."""
LONGEST_PAUSE = 1.0
"""Between two faults."""
SLOWEST_SECONDS = 0.15


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong, and how it is put right."""

    name: str
    begin: Callable[[], None]
    end: Callable[[], None]


def faults(system: System, chance: random.Random) -> Sequence[Fault]:
    """All that may go wrong. What befalls the program itself does so more often, as there are more services."""
    found: list[Fault] = []

    def may_die(name: str, server: Server) -> None:
        found.append(Fault(f"{name} killed", server.kill9, server.start))

    def may_stop(name: str, server: Server) -> None:
        found.append(Fault(f"{name} stopped for a time", server.pause, server.resume))

    def may_fray(name: str, wire: Wire) -> None:
        slow = partial(wire.slow, chance.uniform(0.02, SLOWEST_SECONDS))
        found.extend(
            [
                Fault(f"{name} slow", slow, wire.mend),
                Fault(f"{name} refusing", wire.refuse, wire.mend),
                Fault(f"{name} cut off", wire.cut, wire.mend),
                Fault(f"{name} stalled", wire.stall, wire.mend),
            ]
        )

    for _ in range(3):
        may_die("API", system.api)
        may_stop("API", system.api)
        for number, worker in enumerate(system.workers):
            may_die(f"worker {number}", worker)
            may_stop(f"worker {number}", worker)
    found.append(Fault("API told to stop", system.api.stop, system.api.start))
    for number, worker in enumerate(system.workers):
        found.append(Fault(f"worker {number} told to stop", worker.stop, worker.start))
    for service in system.services:
        may_stop(service.name, service)
        may_fray(service.name, system.wires[service.name])
        # moto keeps its files in memory: killed, it would be a bucket that has lost them.
        if service is not system.moto:
            may_die(service.name, service)
    # Redis keeps nothing over its death; this is while it lives.
    found.append(Fault("Redis emptied", system.redis.flushall, lambda: None))
    return found


class Schedule:
    """Faults, one after another and now and then two at once, in a thread of their own."""

    def __init__(self, system: System, seed: int) -> None:
        self._system = system
        self._chance = random.Random(seed)
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._began = time.monotonic()
        self.told: list[str] = []
        self.error: BaseException | None = None

    def run_for(self, seconds: float) -> None:
        """Let faults happen for so long; returns when all is mended. Raises what went wrong with the faults."""
        self.begin()
        self._enough.wait(seconds)
        self.finish()

    def begin(self) -> None:
        self._began = time.monotonic()
        self._thread.start()

    def finish(self) -> None:
        self._enough.set()
        self._thread.join(120)
        assert not self._thread.is_alive(), "a fault could not be mended"
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            while not self._enough.is_set():
                self._enough.wait(self._chance.uniform(0, LONGEST_PAUSE))
                self._happen()
        except BaseException as error:  # told by `finish`
            self.error = error

    def _happen(self) -> None:
        all_faults = faults(self._system, self._chance)
        first = self._chance.choice(all_faults)
        chosen = [first]
        if self._chance.random() < 0.3:
            second = self._chance.choice(all_faults)
            # Not two things with one server.
            if second.name.split()[0] != first.name.split()[0]:
                chosen.append(second)
        seconds = self._chance.uniform(0.2, max(LONGEST_SECONDS, 1.5 * LEASE_SECONDS))
        self.told.append(
            f"{time.monotonic() - self._began:6.1f} s: {' and '.join(fault.name for fault in chosen)}, {seconds:.1f} s"
        )
        for fault in chosen:
            fault.begin()
        # Not cut short by the end of the test: what is mended at once tests nothing.
        threading.Event().wait(seconds)
        # The program starts only where its services answer.
        for fault in sorted(chosen, key=lambda fault: fault.name.startswith(("API", "worker"))):
            fault.end()
