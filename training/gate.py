"""Whether a trained model may answer."""

from collections.abc import Mapping

from domain.training import ACTIONS, GATE_METRIC, behind, behind_error

_DOUBT = 2.0
"""Standard errors by which a model has to be behind, before that is no chance any more (2.3 % are, by chance)."""
_LEAST_SHARE = 0.5
"""Of the actions that the current model was trained on."""


def fault_of(metrics: Mapping[str, float], current: Mapping[str, float]) -> str | None:
    """Why a model may not answer, or None.

    It must not be behind popularity alone, nor behind the ranker of the current model: all were asked the same
    questions, with the same vectors and lists, and are compared question by question. The figures that the current
    model was registered with say nothing here: they are of other questions.

    All of that can't tell that half of the data was missing, so data is compared as well.
    """
    had, has = current.get(ACTIONS, 0.0), metrics.get(ACTIONS, 0.0)
    if has < _LEAST_SHARE * had:
        return f"it is trained on {has:,.0f} actions, the current model on {had:,.0f}"
    for rival, name in (("popularity", "popularity alone"), ("current", "the current model's ranker")):
        difference, error = metrics.get(behind(rival)), metrics.get(behind_error(rival), 0.0)
        if difference is not None and difference > _DOUBT * error:
            ours, theirs = metrics[GATE_METRIC], metrics[f"{rival}_{GATE_METRIC}"]
            return f"{GATE_METRIC} {ours:.4f}, {name} has {theirs:.4f}: behind by {difference:.4f} ± {error:.4f}"
    return None
