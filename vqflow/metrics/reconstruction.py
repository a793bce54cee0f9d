"""How far the data lie from the charts' images."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from vqflow.metrics.base import Metric, Quantity, Reference, Score, TrainedRun
from vqflow.metrics.likelihood import points_of

_CHUNK = 1024


class ReconstructionError(Metric):
    """``reconstruction_error``: mean squared distance of test points to their chart's image.

    In the space that the flow models (after preprocessing), summed over coordinates; the
    chart is the most probable one. Zero where the latent space is as wide as the data.
    """

    name = "reconstruction_error"
    needs_charts = True
    quantities = (Quantity(name, better="lower", headline=None),)

    def scores(self, run: TrainedRun, reference: Reference) -> Iterator[Score]:
        """Gives the row."""
        model, x = run.flow, points_of(run, "test")
        errors = []
        with torch.no_grad():
            for part in x.split(_CHUNK):
                charts = model.posterior(part, "covering").argmax(1)
                y, _ = model.preprocessing(part)
                errors.append((y - model.reconstruct(y, charts)).square().sum(1))
        values = torch.cat(errors).double()
        value = float(values.mean())
        yield Score("reconstruction_error", value, len(x), "test", values=values.cpu().numpy())
