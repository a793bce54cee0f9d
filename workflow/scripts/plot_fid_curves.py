import pandas as pd

from vqflow.figures import fid_curves
from vqflow.figures.style import save
from vqflow.stages.job import read_values, start_job

start_job(snakemake.log[0])
tables = [pd.read_csv(path) for path in (snakemake.input.metrics, snakemake.input.runs)]
datasets = read_values(snakemake)
metrics, runs = (table[table.dataset.isin(datasets)] for table in tables)
figure = fid_curves.draw(metrics, runs, snakemake.wildcards.metric)
save(figure, snakemake.output.png, snakemake.output.pdf)
