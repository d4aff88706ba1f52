"""LambdaRank (Burges 2010), by LightGBM, and the calibration of its scores to chances from 0 to 1."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import lightgbm
import numpy as np
from sklearn.isotonic import IsotonicRegression

from recommend.arrays import Floats, Places, floats
from recommend.features import NAMES
from recommend.trees import Trees, laid_out


@dataclass(frozen=True, slots=True)
class RankerSettings:
    trees: int = 100
    leaves: int = 15
    learning_rate: float = 0.08
    least_in_leaf: int = 50
    share_of_features: float = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class RankingSet:
    """Rows of features by question; a question is a moment of an account, its rows are candidates."""

    features: Floats
    relevance: Floats
    """0: not acted on; more: the more was meant."""
    sizes: Places
    """Rows of each question."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranker:
    booster: lightgbm.Booster
    scores: Floats = field(default_factory=lambda: np.array([-1.0, 1.0], np.float32))
    """Rising scores of the ranker …"""
    chances: Floats = field(default_factory=lambda: np.array([0.0, 1.0], np.float32))
    """… and the chance that each stands for; between them it is linear."""
    trees: Trees | None = field(init=False)
    """The booster's, as `score` reads them."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "trees", laid_out(self.booster))

    def score(self, features: Floats) -> Floats:
        """Sorts candidates of one question; says nothing across questions."""
        if self.trees is not None:
            return floats(self.trees.score(features))
        return np.asarray(self.booster.predict(features, num_threads=1), np.float32)

    def chance(self, scores: Floats) -> Floats:
        """From 0 to 1, not falling with the score."""
        return np.interp(scores, self.scores, self.chances).astype(np.float32)


def fit_ranker(rows: RankingSet, settings: RankerSettings, threads: int) -> Ranker:
    data = lightgbm.Dataset(
        rows.features, rows.relevance, group=rows.sizes, feature_name=list(NAMES), free_raw_data=True
    )
    parameters = {
        "objective": "lambdarank",
        "lambdarank_truncation_level": 20,
        "num_leaves": settings.leaves,
        "learning_rate": settings.learning_rate,
        "min_data_in_leaf": settings.least_in_leaf,
        "feature_fraction": settings.share_of_features,
        "num_threads": threads,
        "deterministic": True,
        "seed": 0,
        "verbosity": -1,
    }
    return Ranker(lightgbm.train(parameters, data, settings.trees))


def calibrated(ranker: Ranker, scores: Floats, relevant: Floats) -> Ranker:
    """Isotonic regression on questions that the ranker was not trained on, with all their candidates.

    It asks nothing of the curve's shape but that it rises; Platt's sigmoid does not fit LambdaRank's scores.
    """
    curve = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, relevant)
    return Ranker(
        ranker.booster, np.asarray(curve.X_thresholds_, np.float32), np.asarray(curve.y_thresholds_, np.float32)
    )


def importances(ranker: Ranker) -> Sequence[tuple[str, float]]:
    """Features by what they gained in training, most first."""
    gains = ranker.booster.feature_importance("gain")
    return sorted(zip(NAMES, gains.tolist(), strict=True), key=lambda one: -one[1])


def save_ranker(ranker: Ranker, folder: Path) -> None:
    """Into an empty or new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    ranker.booster.save_model(folder / "trees.txt")
    np.savez(folder / "calibration.npz", scores=ranker.scores, chances=ranker.chances)


def load_ranker(folder: Path) -> Ranker:
    with np.load(folder / "calibration.npz") as calibration:
        return Ranker(
            lightgbm.Booster(model_file=folder / "trees.txt"), calibration["scores"], calibration["chances"]
        )
