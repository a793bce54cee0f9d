"""What part each variant of a run plays, by the classes of its entries and not by its name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vqflow.config.catalogue import Config
from vqflow.config.setting import FlowSetting

VQ = "vqflow.atlases.VQAtlas"
KMEANS = "vqflow.atlases.KMeansAtlas"
SINGLE = "vqflow.atlases.SingleChart"

FAMILIES = {"realnvp": "RealNVP", "maf": "MAF", "cef": "CEF"}
"""The paper's flows."""

_FLOWS = {"zuko.flows.RealNVP": "realnvp", "zuko.flows.MAF": "maf"}
_GAUSSIAN = "vqflow.flows.Gaussian"
_IDENTITY = "vqflow.embeddings.Identity"
_CONFORMAL = "vqflow.embeddings.Conformal"
_SHAPE = ("charts", "min_charts", "epsilon", "prior", "choice")

Pair = tuple[str, str]
"""A variant and the one that it is compared with."""


class Roles:
    """The parts that variants play on each data set of a run.

    A benchmark may substitute entries, so that a variant can be another model on another data
    set.

    Args:
        config: The run's configuration.
    """

    def __init__(self, config: Config) -> None:
        self._settings = config.settings()
        self._baselines = config.baselines()
        self.datasets = config.selected_datasets()

    def variants(self, dataset: str) -> list[str]:
        """Gives the variants of a data set, in the order of the configuration."""
        return [variant for name, variant in self._settings if name == dataset]

    def atlas(self, dataset: str, variant: str) -> str:
        """Gives the class of a variant's atlas; empty for models without one."""
        setting = self._settings[dataset, variant]
        return setting.atlas.class_ if isinstance(setting, FlowSetting) else ""

    def is_vq_flow(self, dataset: str, variant: str) -> bool:
        """Says whether a variant is a flow, and no mere Gaussian, on a VQ atlas."""
        setting = self._settings[dataset, variant]
        if not isinstance(setting, FlowSetting):
            return False
        return setting.atlas.class_ == VQ and setting.flow.class_ != _GAUSSIAN

    def charts(self, dataset: str, variant: str) -> int | None:
        """Gives K as the entry states it; ``None`` where it does not, or leaves it to a choice."""
        charts = self._arguments(dataset, variant).get("charts")
        return charts if isinstance(charts, int) else None

    def family(self, dataset: str, variant: str) -> str | None:
        """Gives which of the paper's flows a variant is, whatever its charts.

        A conformal embedding flow is RealNVP with a conformal map. With frames, or with a base
        of its own, a flow is no longer one of the paper's.
        """
        setting = self._settings[dataset, variant]
        if not isinstance(setting, FlowSetting) or setting.base is not None:
            return None
        flow = _FLOWS.get(setting.flow.class_)
        if setting.embedding.class_ == _IDENTITY:
            return flow
        conformal = setting.embedding.class_ == _CONFORMAL
        return "cef" if conformal and flow == "realnvp" else None

    def pairs(self, dataset: str, atlas: str) -> list[Pair]:
        """Gives the variants with an atlas of a class whose baseline is a plain flow."""
        here = self.variants(dataset)  # none where the run lacks the data set
        found = [(name, self._baselines.get(name, "")) for name in here]
        return [
            (name, base)
            for name, base in found
            if self.atlas(dataset, name) == atlas
            and base in here
            and self.atlas(dataset, base) == SINGLE
        ]

    def paper_pairs(self, dataset: str, family: str, atlas: str = VQ) -> list[Pair]:
        """Gives those of :meth:`pairs` that are of one of the paper's flows."""
        return [
            pair
            for pair in self.pairs(dataset, atlas)
            if {self.family(dataset, name) for name in pair} == {family}
        ]

    def contests(self, dataset: str) -> list[Pair]:
        """Gives each VQ variant with each of its rivals.

        Rivals are the variants that are neither a flow on a VQ atlas nor the baseline of one. A
        flow on k-means charts that is the twin of a VQ variant is the rival of that one alone.
        Charts with a Gaussian in place of the flow are a rival too: what the charts do alone.
        """
        here = self.variants(dataset)
        ours = [name for name in here if self.is_vq_flow(dataset, name)]
        bases = {self._baselines.get(name) for name in ours}
        rivals = [name for name in here if name not in ours and name not in bases]
        twins = list(self.twins(dataset))
        paired = {other for _, other in twins}
        return [
            (vq, rival)
            for vq in ours
            for rival in rivals
            if rival not in paired or (vq, rival) in twins
        ]

    def twins(self, dataset: str) -> Iterator[Pair]:
        """Gives the VQ and k-means variants that are alike but for how charts are placed."""
        here = self.variants(dataset)
        for vq in here:
            for other in here:
                kinds = (self.atlas(dataset, vq), self.atlas(dataset, other))
                shapes = [self._arguments(dataset, name, _SHAPE) for name in (vq, other)]
                alike = self._share_flow(dataset, vq, other) and shapes[0] == shapes[1]
                if kinds == (VQ, KMEANS) and alike:
                    yield vq, other

    def sweep(self, dataset: str, variant: str) -> dict[int, str]:
        """Gives K -> variant for those that are as this one but for K and m.

        Of several with equal K it is the one whose m is nearest to the same share of K.
        """
        own = self._arguments(dataset, variant)
        found: dict[int, list[tuple[float, str]]] = {}
        for name in self.variants(dataset):
            other = self._arguments(dataset, name)
            charts = self.charts(dataset, name)
            if charts is None or not self._share_flow(dataset, variant, name):
                continue
            free = {key: other.get(key) for key in ("charts", "min_charts")}
            if {**own, **free} == {"min_charts": None, **other}:
                wanted = own.get("min_charts", 1) * charts / own["charts"]
                off = abs(other.get("min_charts", 1) - wanted)
                found.setdefault(charts, []).append((off, name))
        return {charts: min(found[charts], key=lambda pair: pair[0])[1] for charts in sorted(found)}

    def _share_flow(self, dataset: str, first: str, second: str) -> bool:
        parts = []
        for name in (first, second):
            setting = self._settings[dataset, name]
            if not isinstance(setting, FlowSetting):
                return False
            parts.append((setting.flow, setting.embedding, setting.base, setting.training))
        return parts[0] == parts[1]

    def _arguments(
        self, dataset: str, variant: str, keys: tuple[str, ...] | None = None
    ) -> dict[str, Any]:
        """Gives the class of an atlas and its arguments, or those of some names."""
        setting = self._settings[dataset, variant]
        if not isinstance(setting, FlowSetting):
            return {}
        given = {**setting.atlas.arguments(), "choice": setting.atlas.choice}
        return given if keys is None else {key: given.get(key) for key in keys}
