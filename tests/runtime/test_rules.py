"""The shop's rules from a file: what is told counts, and what can't be meant is refused with its name."""

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import msgspec
import pytest

from domain.errors import InvalidInputError
from domain.experiment import Arm, Plan
from recommend.rules import OF_AN_ANSWER, Rules
from runtime.rules import _RulesFile, _RulesOfAnAnswer, check_rules, load_rules

_BY_REQUEST = {"exclude_bought"}
"""Every request says it."""


def _load(folder: Path, text: str) -> Rules:
    file = folder / "rules.toml"
    file.write_text(text)
    return load_rules(file)


def test_without_a_file_and_with_an_empty_one_all_is_as_usual(tmp_path: Path) -> None:
    assert load_rules(None) == _load(tmp_path, "") == Rules()


def test_every_rule_can_be_told() -> None:
    assert set(_RulesFile.__struct_fields__) == {field.name for field in fields(Rules)} - _BY_REQUEST


def test_what_is_told_counts(tmp_path: Path) -> None:
    found = _load(tmp_path, 'blocked = ["a", "b"]\nblocked_categories = ["knives"]\ndiversity = 0\nnew_days = 30\n')
    assert found == Rules(blocked=frozenset("ab"), blocked_categories=frozenset({"knives"}), diversity=0, new_days=30)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("divers = 0.5", "divers"),
        ("diversity = 1.5", r"\$.diversity"),
        ("exploration = -0.1", r"\$.exploration"),
        ("blocked = [1]", r"\$.blocked"),
        ("in_stock = 1", r"\$.in_stock"),
        ("freshness_half_life_days = 0", r"\$.freshness_half_life_days"),
        ("diversity =", "rules.toml"),
    ],
)
def test_what_is_no_rule_is_refused_and_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        _load(tmp_path, text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"nowhere\.toml"):
        load_rules(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("command", ["api", "recommender", "up"])
def test_who_starts_with_such_a_file_ends_with_a_sentence(tmp_path: Path, command: str) -> None:
    (tmp_path / "rules.toml").write_text("divers = 0.5")
    environment = {
        **os.environ,
        "FOOTFALL_RULES_FILE": str(tmp_path / "rules.toml"),
        "FOOTFALL_DATA_DIR": str(tmp_path),
        "FOOTFALL_POSTGRES_URL": "postgresql://nobody@127.0.0.1:1/none",
        "TEMPORAL_ADDRESS": "127.0.0.1:1",
    }
    run = subprocess.run(
        [sys.executable, "-m", "runtime.cli", command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 1
    assert "FOOTFALL_RULES_FILE" in run.stderr
    assert "divers" in run.stderr
    assert "Traceback" not in run.stderr


def _with_rules(**rules: float) -> Plan:
    return Plan("fresher", [Arm("control", 50), Arm("new", 50, rules=rules)])


def test_an_arm_can_have_each_rule_of_an_answer() -> None:
    assert {one.name for one in msgspec.structs.fields(_RulesOfAnAnswer)} == OF_AN_ANSWER
    usual = Rules()
    check_rules(_with_rules(**{name: getattr(usual, name) for name in OF_AN_ANSWER}))
    check_rules(_with_rules(freshness=10, diversity=0, share_of_category=1, exploration=0.5))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("fresness", 0.3, "unknown field `fresness`; there are diversity, exploration, freshness, "),
        ("exclude_bought", 1, "unknown field"),
        ("new_days", 7, "unknown field"),
        ("diversity", 1.5, "<= 1.0 - at `$.diversity`"),
        ("exploration", 0.6, "<= 0.5 - at `$.exploration`"),
        ("freshness", -0.1, ">= 0.0 - at `$.freshness`"),
        ("freshness_half_life_days", 0, "> 0.0 - at `$.freshness_half_life_days`"),
    ],
)
def test_what_an_arm_can_not_have_is_refused_and_named(name: str, value: float, said: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(said)) as refused:
        check_rules(_with_rules(**{name: value}))
    assert "the rules of arm 'new': " in str(refused.value)
