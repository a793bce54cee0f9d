import numpy as np

from vqflow.datasets.base import Data
from vqflow.figures import sample_grid
from vqflow.figures.style import label, save
from vqflow.stages.job import read_values, start_job

start_job(snakemake.log[0])
data = Data.load(snakemake.input.data)
images = {"Data": data.points["test"]}
for (_, variant), path in zip(read_values(snakemake), snakemake.input.samples, strict=True):
    with np.load(path) as samples:
        images[label(variant)] = samples.get("final", data.points["test"][:0])
images = {name: pixels.reshape(-1, *data.spec.shape) for name, pixels in images.items()}
figure = sample_grid.draw(images, levels=data.spec.levels, title=label(data.spec.name))
save(figure, snakemake.output.png, snakemake.output.pdf)
