import pandas as pd

from vqflow.figures import training_curves
from vqflow.figures.style import save
from vqflow.stages.job import read_values, start_job

start_job(snakemake.log[0])
keys = read_values(snakemake)
history = pd.concat(
    pd.read_csv(path).assign(**key)
    for key, path in zip(keys, snakemake.input.histories, strict=True)
)
save(training_curves.draw(history), snakemake.output.png, snakemake.output.pdf)
