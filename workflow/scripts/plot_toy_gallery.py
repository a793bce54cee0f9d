import numpy as np

from vqflow.datasets.base import Data
from vqflow.figures import toy_gallery
from vqflow.figures.style import label, save
from vqflow.stages.job import read_values, start_job

start_job(snakemake.log[0])
splits = [Data.load(path) for path in snakemake.input.data]
rows = {"Data": {data.spec.name: data.points["test"] for data in splits}}
cells = read_values(snakemake)
for (dataset, variant), path in zip(cells, snakemake.input.samples, strict=True):
    with np.load(path) as samples:
        points = samples.get("final", np.empty((0, 3)))
        rows.setdefault(label(variant), {})[dataset] = points
save(toy_gallery.draw(rows), snakemake.output.png, snakemake.output.pdf)
