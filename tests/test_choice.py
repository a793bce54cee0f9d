"""The number of charts and their overlap, chosen on validation data alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CATALOGUE, PIXELS, images, ring
from small import merge

from vqflow import choice
from vqflow.atlases.base import as_data_space
from vqflow.atlases.kmeans import KMeansAtlas
from vqflow.atlases.vqae import _AutoEncoding
from vqflow.config.components import ConfigError
from vqflow.config.entries import Component
from vqflow.config.parsing import parse_config
from vqflow.config.setting import AtlasSetting
from vqflow.datasets.base import Data
from vqflow.models.store import load_atlas, save_atlas
from vqflow.training.loop import Checkpoint
from vqflow.training.outcome import DivergedError

FEW = {"charts": [3, 12], "min_charts": [2, 1], "epsilon": [0.0, 0.3]}
ATLASES = {"kmeans-auto": {"choice": FEW}, "vq-auto": {"choice": FEW, "training": {"epochs": 3}}}


def entry(atlas: str = "kmeans-auto", **changes: Any) -> AtlasSetting:
    """An atlas that chooses, as a job is given it."""
    run = {
        "run": "test",
        "seeds": [0],
        "atlases": ATLASES,
        "variants": {"v": {"flow": "realnvp", "atlas": atlas, "training": "toy"}},
        "benchmarks": {"b": {"datasets": ["helix"], "variants": ["v"], "metrics": ["charts"]}},
    }
    config = parse_config(merge(merge(CATALOGUE, run), changes))
    return config.settings()["helix", "v"].of_atlas()


def helix(n: int = 300) -> Data:
    return ring(3, n, name="helix")


@pytest.mark.parametrize("atlas", ATLASES)
def test_the_best_of_all_candidates_is_fitted(atlas: str) -> None:
    fitted = choice.fit_atlas(entry(atlas), helix(), seed=0)
    tried = [tuple(row[name] for name in choice.COLUMNS[:3]) for row in fitted.scores]
    assert sorted(tried) == sorted((k, m, e) for k in (3, 12) for m in (1, 2) for e in (0.0, 0.3))
    best = max(fitted.scores, key=lambda row: row["validation_log_likelihood"])
    assert [row for row in fitted.scores if row["chosen"]] == [best]
    assert fitted.atlas.entry.arguments()["charts"] == best["charts"]
    assert fitted.atlas.min_charts == best["min_charts"]
    assert fitted.atlas.epsilon == best["epsilon"]
    assert fitted.atlas.charts == best["kept_charts"]


@pytest.mark.parametrize("atlas", ATLASES)
def test_each_candidate_is_the_atlas_of_its_numbers(atlas: str) -> None:
    """Though centres are placed once for each K, each is as if its charts had been given."""
    resolved = entry(atlas)
    fitted = choice.fit_atlas(resolved, helix(), seed=0)
    for candidate, row in zip(choice.candidates(resolved.atlas), fitted.scores, strict=True):
        plain = choice.fit_atlas(AtlasSetting(atlas=candidate), helix(), seed=0)
        assert plain.scores == []
        assert plain.atlas.charts == row["kept_charts"]
        score = choice._score(resolved, plain.atlas, helix())
        assert score == pytest.approx(row["validation_log_likelihood"], abs=1e-5)
        if row["chosen"]:
            for name, value in plain.atlas.state_dict().items():
                assert torch.equal(fitted.atlas.state_dict()[name], value)


class OneFarCentre(KMeansAtlas):
    """Charts of which one covers points only where many must be covered by each."""

    def fit(self, data: Data, seed: int, checkpoint: Checkpoint | None = None) -> list[Any]:
        x = as_data_space(data, "train")
        centres = x[: self.wanted_charts].clone()
        centres[0] = 50.0
        self.set_charts(centres, x)
        return []


def test_a_chart_that_covers_nothing_is_dropped_where_it_covers_nothing() -> None:
    atlas = {"class": "test_choice.OneFarCentre", "choice": {**FEW, "min_charts": [1, 3]}}
    fitted = choice.fit_atlas(entry(atlases={"kmeans-auto": atlas}), helix(), seed=0)
    kept = {(row["charts"], row["min_charts"]): row["kept_charts"] for row in fitted.scores}
    assert kept == {(3, 1): 2, (3, 3): 3, (12, 1): 11, (12, 3): 11}


def test_scores_that_are_not_finite_are_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([float("nan"), 1.0, 2.0, float("nan"), *[0.0] * 4])
    monkeypatch.setattr(choice, "_score", lambda *_: next(scores))
    fitted = choice.fit_atlas(entry(), helix(), seed=0)
    assert [row["chosen"] for row in fitted.scores].index(True) == 2
    monkeypatch.setattr(choice, "_score", lambda *_: float("nan"))
    with pytest.raises(RuntimeError, match="no candidate for the charts has a finite"):
        choice.fit_atlas(entry(), helix(), seed=0)


def test_the_score_is_that_of_a_mixture_of_gaussians() -> None:
    """With flat frames, where all charts cover all points: scikit-learn's density."""
    from sklearn.mixture import GaussianMixture

    data = helix()
    changes = {
        "embeddings": {"frames": {"shrinkage": 0.0}},
        "atlases": {
            "kmeans-auto": {
                "choice": {
                    "charts": [4],
                    "min_charts": [4],
                    "epsilon": [0.0],
                    "embedding": "frames",
                }
            }
        },
        "datasets": {"helix": {"preprocess": []}},
    }
    fitted = choice.fit_atlas(entry(**changes), data, seed=0)
    embedding = choice.build_embedding(
        Component.model_validate({"class": "vqflow.embeddings.Frames", "shrinkage": 0.0}),
        fitted.atlas,
    )
    x = torch.as_tensor(data.points["train"])
    rows = fitted.atlas.pairs(x)
    log_weight = embedding.fit(x.float(), rows, fitted.atlas.log_prior)
    assert log_weight is not None
    mixture = GaussianMixture(fitted.atlas.charts)
    mixture.weights_ = log_weight.exp().numpy()
    frame = embedding.frame
    mixture.means_ = frame.centre.double().numpy()
    roots = (frame.axes * frame.log_scale.exp()[:, None]).double()
    covariances = (roots @ roots.mT).numpy()
    mixture.precisions_cholesky_ = np.linalg.cholesky(np.linalg.inv(covariances))
    expected = mixture.score(data.points["validation"])
    assert fitted.scores[0]["validation_log_likelihood"] == pytest.approx(expected, abs=1e-4)


def test_the_test_split_is_not_read() -> None:
    first, second = helix(), helix()
    second.points["test"][:] = 7.0
    one, other = (choice.fit_atlas(entry(), data, seed=0) for data in (first, second))
    assert one.scores == other.scores


def test_equal_seeds_choose_alike_and_survive_a_file(tmp_path: Path) -> None:
    one, other = (choice.fit_atlas(entry("vq-auto"), helix(), seed=3) for _ in range(2))
    assert one.scores == other.scores
    save_atlas(tmp_path / "atlas.pt", one.atlas)
    loaded = load_atlas(tmp_path / "atlas.pt", one.atlas.spec)
    assert loaded.min_charts == one.atlas.min_charts
    assert loaded.entry == one.atlas.entry
    for name, value in one.atlas.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


def test_a_killed_choice_resumes_each_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while the second K is trained: the first is not trained again."""
    whole = choice.fit_atlas(entry("vq-auto"), helix(), seed=0)
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "mine", interval=0.0)
    epochs = []
    validate = _AutoEncoding.validate

    def counted(task: _AutoEncoding) -> dict[str, float]:
        epochs.append(len(task.codebook.centres))
        if epochs.count(12) == 2:
            raise KeyboardInterrupt
        return validate(task)

    monkeypatch.setattr(_AutoEncoding, "validate", counted)
    with pytest.raises(KeyboardInterrupt):
        choice.fit_atlas(entry("vq-auto"), helix(), seed=0, checkpoint=checkpoint)
    epochs.append(12)  # so that it is not killed again
    again = choice.fit_atlas(entry("vq-auto"), helix(), seed=0, checkpoint=checkpoint)
    assert epochs == [3, 3, 3, 12, 12, 12, 12, 12]
    assert again.scores == whole.scores
    assert again.history == whole.history


def test_images_are_scored_as_the_flow_sees_them() -> None:
    changes = {
        "datasets": {"helix": {"preprocess": PIXELS}},
        "embeddings": {"frames": {"covariance": "diagonal"}},
        "atlases": {"kmeans-auto": {"choice": {**FEW, "embedding": "frames"}}},
    }
    data = images()
    fitted = choice.fit_atlas(entry(**changes), data, seed=0)
    assert all(np.isfinite(row["validation_log_likelihood"]) for row in fitted.scores)


@pytest.mark.parametrize(
    ("atlas", "message"),
    [
        ({"charts": "auto", "choice": None}, "charts: auto and choice go together"),
        ({"charts": 8}, "charts: auto and choice go together"),
        ({"min_charts": 2}, "min_charts stands beside choice, which chooses it"),
        ({"choice": {"min_charts": [4]}}, r"no least number of charts is at most each"),
        ({"choice": {"charts": []}}, "atlases.kmeans-auto.choice.charts"),
        ({"choice": {"epsilon": [0.1, 0.1]}}, "choice.epsilon: .* lists a number twice"),
        ({"choice": {"embedding": "frame"}}, "no embedding 'frame'; did you mean 'frames'?"),
    ],
)
def test_mistakes_are_named(atlas: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        entry(atlases={"kmeans-auto": atlas})


def test_charts_that_diverge_are_left_out_of_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    fit, numbers = KMeansAtlas.fit, []

    def diverge(self: KMeansAtlas, *given: Any) -> Any:
        numbers.append(self.wanted_charts)
        if len(numbers) == 1:
            raise DivergedError("training met nothing good")
        return fit(self, *given)

    monkeypatch.setattr(KMeansAtlas, "fit", diverge)
    fitted = choice.fit_atlas(entry(), helix(), seed=0)
    assert numbers[0] not in {row["charts"] for row in fitted.scores}
    assert [row["chosen"] for row in fitted.scores].count(True) == 1
    monkeypatch.setattr(KMeansAtlas, "fit", _never)
    with pytest.raises(DivergedError, match="training met nothing good"):
        choice.fit_atlas(entry(), helix(), seed=0)


def _never(*given: Any) -> Any:
    raise DivergedError("training met nothing good")


def test_more_charts_than_have_enough_points_are_left_out() -> None:
    """Of 100 points 12 charts have too few; of 20 3 have too, and the least is taken."""
    for points, numbers in ((120, {3, 12}), (100, {3}), (20, {3})):
        fitted = choice.fit_atlas(entry(), helix(points), seed=0)
        assert {row["charts"] for row in fitted.scores} == numbers
