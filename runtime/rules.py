"""The shop's rules for recommendations, from the file that FOOTFALL_RULES_FILE names, and those of experiments."""

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec

from domain.errors import InvalidInputError
from domain.experiment import Plan
from recommend.rules import OF_AN_ANSWER, Rules

_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Days = Annotated[float, msgspec.Meta(gt=0, le=3_650)]
_USUAL = Rules()


class _RulesOfAnAnswer(msgspec.Struct, forbid_unknown_fields=True):
    """Those of recommend.postprocess.OF_AN_ANSWER."""

    freshness: Annotated[float, msgspec.Meta(ge=0, le=10)] = _USUAL.freshness
    freshness_half_life_days: _Days = _USUAL.freshness_half_life_days
    diversity: _Share = _USUAL.diversity
    share_of_category: _Share = _USUAL.share_of_category
    exploration: Annotated[float, msgspec.Meta(ge=0, le=0.5)] = _USUAL.exploration


class _RulesFile(_RulesOfAnAnswer, forbid_unknown_fields=True):
    """What each of them means stands at `Rules`, and in docs/recommendations.md. What is not told stays as usual."""

    exclude_seen: bool = _USUAL.exclude_seen
    in_stock: bool = _USUAL.in_stock
    blocked: frozenset[str] = _USUAL.blocked
    blocked_categories: frozenset[str] = _USUAL.blocked_categories
    new_days: _Days = _USUAL.new_days
    new_accounts: Annotated[int, msgspec.Meta(ge=0)] = _USUAL.new_accounts


def load_rules(path: Path | None) -> Rules:
    """Those of the file, or the usual ones where there is none.

    Raises:
        InvalidInputError: it can't be read, isn't TOML, or says something that is no rule; with the name of that.

    """
    if path is None:
        return _USUAL
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        found = msgspec.convert(table, _RulesFile)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise InvalidInputError(f"FOOTFALL_RULES_FILE, {path}: {error}") from error
    return Rules(**msgspec.structs.asdict(found))


def check_rules(plan: Plan) -> None:
    """Whether answers can be made by the rules of each arm.

    Raises:
        InvalidInputError: there is no such rule, or its value is out of bounds; the message says where.

    """
    for arm in plan.arms:
        try:
            msgspec.convert(arm.rules, _RulesOfAnAnswer)
        except msgspec.ValidationError as error:
            known = ", ".join(sorted(OF_AN_ANSWER))
            raise InvalidInputError(f"the rules of arm {arm.name!r}: {error}; there are {known}") from error
