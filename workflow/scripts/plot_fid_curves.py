import pandas as pd

from vqflow.figures import fid_curves
from vqflow.figures.style import save
from vqflow.stages.job import read_values, start_job

start_job(snakemake.log[0])
metrics = pd.read_csv(snakemake.input.metrics)
metrics = metrics[metrics.dataset.isin(read_values(snakemake))]
figure = fid_curves.draw(metrics, snakemake.wildcards.metric)
save(figure, snakemake.output.png, snakemake.output.pdf)
