"""Do features know what came later? The check that no other figure can be trusted without."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from recommend.actions import ActionTable
from recommend.arrays import Floats
from recommend.features import NAMES


def leaking(
    actions: ActionTable, places: Iterable[int], compute: Callable[[ActionTable, int], Floats]
) -> Sequence[str]:
    """Names of the features that change when what is not before a question is taken away.

    `compute` gives the rows, candidate by NAMES, of the question at a place of a table, by whatever it makes of the
    table: parts, counts, a history. It is asked twice: of the whole table, and of one that ends with the question.
    """
    changed = np.zeros(len(NAMES), np.bool_)
    for place in places:
        past, moved = _until(actions, place)
        whole, cut = compute(actions, place), compute(past, moved)
        if whole.shape == cut.shape:
            changed |= ~np.isclose(whole, cut, rtol=1e-4, atol=1e-5).all(axis=0)
        else:
            changed[:] = True
    return [name for name, is_changed in zip(NAMES, changed.tolist(), strict=True) if is_changed]


def _until(actions: ActionTable, place: int) -> tuple[ActionTable, int]:
    """What came before the question, and the question's action itself, with its new place."""
    keep = actions.at_us < actions.at_us[place]
    own = actions.of_account(int(actions.account[place]))
    keep[own.start : place + 1] = True
    keep[place + 1 : own.stop] = False
    return actions.only(keep), int(keep[:place].sum())
