"""How many worker processes there should be: a decision over values, which knows no clock, process or broker.

    state = Scale(processes=1)
    state = decide(state, load, policy, now)        # once a second
    state.processes

It grows at once, at most twofold a step, while jobs wait longer than the target and more processes would
help. It shrinks to the most that was recommended within the last `cooldown` seconds: the stabilisation window
of Kubernetes' HorizontalPodAutoscaler, which is what keeps a load at the border from making it flap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

FULL = 0.75  # the share of its threads, or of a core, that a process is planned to use
EXHAUSTED = 0.9  # the share of the cores above which more processes only take turns


@dataclass(frozen=True, slots=True)
class Policy:
    """What was asked for. `target` and `cooldown` are seconds."""

    minimum: int
    maximum: int
    threads: int
    target: float
    cooldown: float = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """What one look has seen.

    `waited` is for how many seconds the oldest waiting job has waited, None where nobody can tell. `waiting`
    counts the jobs that no thread has taken up, `running` those that threads are busy with (a mean, so it
    may be a fraction), `rate` how many are finished a second, `cpu` the cores in use of `cores`. While some
    processes are `starting`, what they will do is not known yet.
    """

    waited: float | None = None
    waiting: int = 0
    running: float = 0.0
    rate: float = 0.0
    cpu: float = 0.0
    cores: float = math.inf
    starting: int = 0

    @property
    def latency(self) -> float | None:
        """Seconds that a job waits: measured, else expected by Little's law (depth by throughput).

        What is expected takes this machine for the only one, so it stands in only where nothing is measured.
        """
        if self.waited is not None or not self.rate:
            return self.waited
        return self.waiting / self.rate


@dataclass(frozen=True, slots=True)
class Scale:
    """How many processes there should be, and what was recommended lately: (when, how many), largest first."""

    processes: int
    recommended: tuple[tuple[float, int], ...] = ()


def decide(state: Scale, load: Load | None, policy: Policy, now: float) -> Scale:
    """Return the next state; a `load` that could not be seen (None) changes nothing.

    Not seeing counts as a reason to stay for a whole `cooldown`, too: after an outage of the broker, the
    jobs come.
    """
    advice = state.processes if load is None else _recommend(state.processes, load, policy)
    advice = min(max(advice, policy.minimum), policy.maximum)
    recommended = _remember(state.recommended or ((now, state.processes),), advice, now)
    lately = _within(recommended, now - policy.cooldown)
    processes = max(advice, min(state.processes, lately[0][1]))
    return replace(state, processes=processes, recommended=lately)


def _recommend(processes: int, load: Load, policy: Policy) -> int:
    latency = load.latency
    if load.waiting and (latency is None or latency > policy.target / 2):
        late = latency is not None and latency > policy.target
        return _grown(processes, load, policy) if late else processes
    by_threads = load.running / (FULL * policy.threads)
    return min(processes, max(1, math.ceil(by_threads), math.ceil(load.cpu / FULL)))


def _grown(processes: int, load: Load, policy: Policy) -> int:
    if load.starting or load.cpu >= EXHAUSTED * load.cores:
        return processes
    busy = math.ceil((load.waiting + load.running) / policy.threads)
    return max(processes, min(2 * processes, busy))


def _remember(
    recommended: tuple[tuple[float, int], ...], advice: int, now: float
) -> tuple[tuple[float, int], ...]:
    """Append, and drop what can be the largest never again: so the first is always the largest."""
    return (*(entry for entry in recommended if entry[1] > advice), (now, advice))


def _within(
    recommended: tuple[tuple[float, int], ...], begin: float
) -> tuple[tuple[float, int], ...]:
    return tuple(entry for entry in recommended if entry[0] > begin)
