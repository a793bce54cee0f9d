import numpy as np
import pandas as pd

from vqflow.datasets.base import Data
from vqflow.figures import atlas
from vqflow.figures.style import save
from vqflow.stages.job import read_values, start_job

start_job(snakemake.log[0])
stage = read_values(snakemake)
metrics = pd.read_csv(snakemake.input.metrics)
leaks = metrics[(metrics.metric == "leak") & (metrics.seed == stage["seed"])]
leaks = leaks.set_index(["dataset", "variant"]).value
data = {path: Data.load(path) for path in snakemake.input.data}
points = {splits.spec.name: splits.points["train"] for splits in data.values()}
panels = {}
paths = (snakemake.input.charts, snakemake.input.samples)
for (dataset, variant), chart_path, sample_path in zip(stage["cells"], *paths, strict=True):
    with np.load(chart_path) as charts, np.load(sample_path) as samples:
        panels[dataset] = atlas.AtlasPanel(
            points=points[dataset],
            charts=charts["nearest"],
            centres=charts["centres"],
            samples=samples.get("final", points[dataset][:0]),
            sample_charts=samples.get("final_charts", charts["nearest"][:0]),
            leak=leaks.get((dataset, variant)),
        )
save(atlas.draw(panels), snakemake.output.png, snakemake.output.pdf)
