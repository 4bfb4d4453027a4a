"""What each modality says alone: the linear models of the cohort's signal check beside the trained arms."""

from typing import Any

from markupsafe import Markup

from simulations.report.score_figures import scores_figure

__all__ = ["signal_figure"]


def signal_figure(signal: dict[str, Any], metrics: dict[str, Any]) -> Markup | None:
    """AUC of a linear model on each modality alone, with the federated model on own patients; None without a signal."""
    if not signal:
        return None
    alone = {f"{modality} alone": {"own": {"auc": value}} for modality, value in signal.items()}
    federated = {arm: scores for arm, scores in metrics.get("arms", {}).items() if arm == "federated"}
    return scores_figure({"arms": federated, "baselines": alone}, "auc", "own", name="signal")
