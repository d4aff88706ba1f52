"""What an event type says about an account's interest, in arrays by its code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from domain.actions import signal_types
from domain.event_types import UNITS_PER_POINT, EventWeight
from recommend.arrays import Flags, Floats

_LEAST_INTEREST = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Kinds:
    """Event types in the order of their codes."""

    names: Sequence[str]
    weight: Floats
    """As in domain/event_types.toml: how much it says for the item, or against it."""
    interest: Floats
    """From 0: how much it says that the account deals with such items. A low rating is about something it chose."""
    is_view: Flags
    is_cart: Flags
    is_purchase: Flags
    codes: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "codes", {name: code for code, name in enumerate(self.names)})

    @staticmethod
    def of(weights: Mapping[str, EventWeight]) -> "Kinds":
        names = sorted(signal_types(weights.keys()))
        points = [weights[name].score_delta / UNITS_PER_POINT if name in weights else 0.0 for name in names]
        counters = [weights[name].counter if name in weights else None for name in names]
        interest = [
            max(weight, _LEAST_INTEREST) if weight > 0 or counter is not None else 0.0
            for weight, counter in zip(points, counters, strict=True)
        ]
        return Kinds(
            names,
            np.asarray(points, np.float32),
            np.asarray(interest, np.float32),
            np.asarray([counter == "view" for counter in counters]),
            np.asarray([counter in ("cart", "favorite") for counter in counters]),
            np.asarray([counter == "purchase" for counter in counters]),
        )
