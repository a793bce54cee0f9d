"""What a metric states: its quantities, and how its rows are named."""

from __future__ import annotations

from typing import Any

import pytest

from vqflow.metrics.base import Metric, Quantity, Score, by_sampler
from vqflow.metrics.charts import Charts
from vqflow.metrics.likelihood import LogLikelihood


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "a b"}, "got the name 'a b'"),
        ({"name": "a", "better": "less"}, "'a': better is 'less', allowed: 'higher', 'lower'"),
        ({"name": "a", "decimals": -1}, "'a': decimals is -1"),
    ],
)
def test_wrong_quantities_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Quantity(**arguments)


def test_a_quantity_of_samples_is_one_of_each_sampler() -> None:
    plain, confined, mean = by_sampler(Quantity("fid", "Fréchet distance", better="lower"))
    assert (plain.name, confined.name, mean.name) == ("fid", "fid_confined", "fid_mean")
    assert plain.headline is not None and confined.headline is mean.headline is None
    assert {plain.better, confined.better, mean.better} == {"lower"}
    assert confined.label == "Fréchet distance, confined"


class Fake(Metric):
    def __init__(self, *names: str) -> None:
        self.quantities = [Quantity(name) for name in names]

    def scores(self, run: Any, reference: Any) -> list[Score]:
        return []


class Named(Fake):
    name = "kde"


@pytest.mark.parametrize(
    ("metric", "entry", "rows"),
    [
        (Fake("missed"), "missed", ["missed"]),
        (Fake("missed"), "missed_wide", ["missed_wide"]),
        (Fake("a", "b"), "mine", ["mine_a", "mine_b"]),
        (Named("kde", "kde_confined", "width"), "kde", ["kde", "kde_confined", "width"]),
        (Named("kde", "kde_confined", "width"), "fine", ["fine", "fine_confined", "fine_width"]),
        (Named("kde_all"), "fine", ["fine_all"]),
        (Named("kdecay"), "fine", ["fine_kdecay"]),
        (LogLikelihood(supports=["covering"]), "log_likelihood", ["log_likelihood_covering"]),
        (LogLikelihood(supports=["covering"]), "valid", ["valid_covering"]),
    ],
)
def test_rows_take_the_entry_s_name(metric: Metric, entry: str, rows: list[str]) -> None:
    metric.name = entry
    assert [quantity.name for quantity in metric.rows().values()] == rows


def test_without_an_entry_rows_are_named_by_the_class() -> None:
    assert list(Charts().rows()) == [quantity.name for quantity in Charts().rows().values()]
