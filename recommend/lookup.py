"""Which of some items are among others: hash tables of codes with open addressing, at most a quarter full.

Compiled loops: see recommend/compiled.py.
"""

import numpy as np
from numpy.typing import NDArray

from recommend.arrays import NONE, Codes, Floats, floats
from recommend.compiled import compiled

_SPREAD = 2_654_435_769
"""An odd number near 2**32 by the golden ratio: Knuth's multiplicative hashing, so that neighbours are apart."""
_SHIFT = 12


@compiled
def _slots_for(count: int) -> int:
    slots = 4
    while slots < 4 * count:
        slots *= 2
    return slots


@compiled
def _slot(code: int, slots: int) -> int:
    return ((code * _SPREAD) >> _SHIFT) & (slots - 1)


@compiled
def _table_of(codes: Codes) -> Codes:
    """Slot to place in `codes`, which are distinct."""
    slots = _slots_for(len(codes))
    table = np.full(slots, NONE, np.int32)
    for place in range(len(codes)):
        slot = _slot(codes[place], slots)
        while table[slot] != NONE:
            slot = (slot + 1) & (slots - 1)
        table[slot] = place
    return table


@compiled
def _place(code: int, codes: Codes, table: Codes) -> int:
    """NONE where the code is not among them."""
    slots = len(table)
    slot = _slot(code, slots)
    while table[slot] != NONE and codes[table[slot]] != code:
        slot = (slot + 1) & (slots - 1)
    place: int = table[slot]
    return place


@compiled
def _block(item: Codes, score: Floats, candidates: Codes) -> Floats:
    table = _table_of(candidates)
    block = np.zeros((len(item), len(candidates)), np.float32)
    for row in range(len(item)):
        for place in range(item.shape[1]):
            if item[row, place] == NONE:
                break
            column = _place(item[row, place], candidates, table)
            if column != NONE:
                block[row, column] = score[row, place]
    return block


@compiled
def _summed(item: Codes, score: Floats, weights: Floats, newest: int, candidates: Codes) -> Floats:
    table, ways = _table_of(candidates), len(weights)
    sums = np.zeros((len(candidates), ways + 2), np.float32)
    for row in range(len(item)):
        for place in range(item.shape[1]):
            if item[row, place] == NONE:
                break
            column = _place(item[row, place], candidates, table)
            if column == NONE:
                continue
            value = score[row, place]
            for way in range(ways):
                sums[column, way] += weights[way, row] * value
            if row == 0:
                sums[column, ways] = value
            if row < newest:
                sums[column, ways + 1] = max(sums[column, ways + 1], value)
    return sums


@compiled
def _summed_up(item: Codes, score: Floats, weights: Floats) -> tuple[Codes, NDArray[np.float64]]:
    slots = _slots_for(item.size)
    table, codes = np.full(slots, NONE, np.int32), np.empty(item.size, np.int32)
    sums, found = np.zeros(item.size, np.float64), 0
    for row in range(len(item)):
        for place in range(item.shape[1]):
            code = item[row, place]
            if code == NONE:
                break
            slot = _slot(code, slots)
            while table[slot] != NONE and codes[table[slot]] != code:
                slot = (slot + 1) & (slots - 1)
            if table[slot] == NONE:
                table[slot], codes[found] = found, code
                found += 1
            sums[table[slot]] += score[row, place] * weights[row]
    return codes[:found], sums[:found]


@compiled
def _places(codes: Codes, among: Codes) -> Codes:
    table, places = _table_of(among), np.empty(len(codes), np.int32)
    for one in range(len(codes)):
        places[one] = _place(codes[one], among, table)
    return places


def places(codes: Codes, among: Codes) -> Codes:
    """Where each code is in `among`, whose codes are distinct; NONE where it is not."""
    found: Codes = _places(codes, among)
    return found


def block(item: Codes, score: Floats, candidates: Codes) -> Floats:
    """Row by candidate: the scores of the row's items, 0 where it does not have the candidate.

    Rows end at NONE. Candidates are distinct, and so are a row's items; here and below.
    """
    found: Floats = _block(item, score, candidates)
    return found


def summed(item: Codes, score: Floats, weights: Floats, newest: int, candidates: Codes) -> Floats:
    """Of `block` for each row of `weights` (way by row) the weighted sum, then the first row, and the highest of the
    `newest` first rows; each by candidate. Scores are above 0.
    """
    found: Floats = _summed(item, score, weights, newest, candidates)
    return found.T


def summed_up(item: Codes, score: Floats, weights: Floats) -> tuple[Codes, Floats]:
    """All items of the rows, in no order, and the sum of the scores of each times the weights of its rows."""
    items, sums = _summed_up(item, score, weights)
    return items, floats(sums)
