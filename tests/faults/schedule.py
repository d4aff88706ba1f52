"""Which faults come when, from a seed: the same seed, the same faults."""

import random
from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain

LOAD_S = 8.0
_LAST_S = 6.0


@dataclass(frozen=True, slots=True)
class Fault:
    kind: str
    target: str
    """Whom it hits: a process, or the name that connections are known by; empty where there is one thing to hit."""
    at_s: float
    """Since the load began."""
    lasts_s: float = 0.0

    @property
    def name(self) -> str:
        """Kind and target, twins being one."""
        return f"{self.kind} {self.target.removesuffix('-1').removesuffix('-2')}".strip()

    def __str__(self) -> str:
        lasts = f" for {self.lasts_s:.1f} s" if self.lasts_s else ""
        return f"{self.kind} {self.target}".strip() + f" at {self.at_s:.1f} s{lasts}"


@dataclass(frozen=True, slots=True)
class Choice:
    """A kind of fault, whom it may hit, and the shortest and longest that it lasts."""

    kind: str
    targets: tuple[str, ...] = ("",)
    shortest_s: float = 0.0
    longest_s: float = 0.0

    def pick(self, picker: random.Random) -> Fault:
        lasts_s = round(picker.uniform(self.shortest_s, self.longest_s), 1)
        return Fault(self.kind, picker.choice(self.targets), round(picker.uniform(1, _LAST_S), 1), lasts_s)


_APIS = ("api-1", "api-2")
_WORKERS = ("worker-1", "worker-2")

CHOICES = (
    Choice("kill", _APIS),
    Choice("kill", _WORKERS),
    Choice("kill", ("postgres",), 0.5, 2),
    Choice("kill", ("temporal",), 0.5, 2),
    Choice("freeze", _APIS, 1, 4),
    Choice("freeze", _WORKERS, 1, 15),  # longer than a heartbeat's patience: its activities run twice
    Choice("freeze", ("postgres",), 1, 4),
    Choice("freeze", ("temporal",), 1, 4),
    Choice("restart PostgreSQL"),
    Choice("cut connections"),
    Choice("lose answers", ("footfall api commits",)),
    Choice("lose answers", ("footfall worker",)),
    Choice("slow network", shortest_s=1, longest_s=3),
    Choice("Temporal away", shortest_s=5, longest_s=60),
    Choice("Temporal wiped"),
    Choice("clients hang up", shortest_s=1, longest_s=4),
    Choice("full disk", shortest_s=1, longest_s=3),
    Choice("clock ahead", _APIS, 2, 5),
    Choice("clock ahead", _WORKERS, 2, 5),
    Choice("clock behind", _APIS, 2, 5),
    Choice("clock behind", _WORKERS, 2, 5),
)
MORE_SERVERS = ("cassandra", "redis")
"""What a run may have beside PostgreSQL: for the blocks, and for signals."""


def choices(more: Collection[str]) -> tuple[Choice, ...]:
    """The faults of these of MORE_SERVERS, then those that every run has."""
    theirs = [
        (Choice("kill", (server,), 0.5, 2), Choice("freeze", (server,), 1, 8))
        for server in MORE_SERVERS
        if server in more
    ]
    return (*chain.from_iterable(theirs), *CHOICES)


def names(more: Collection[str] = ()) -> list[str]:
    return [choice.pick(random.Random(0)).name for choice in choices(more)]


def schedule(seed: int, more: Collection[str] = ()) -> list[Fault]:
    """One fault by the seed's number, so that so many seeds as there are choices have them all; up to two others."""
    picker, of = random.Random(seed), choices(more)
    chosen = [of[seed % len(of)], *picker.sample(of, picker.choice([0, 1, 1, 2]))]
    return sorted((choice.pick(picker) for choice in chosen), key=lambda fault: fault.at_s)
