from pathlib import Path

from vqflow.stages.job import read_stage, start_job
from vqflow.stages.report import make_tables

start_job(snakemake.log[0])
make_tables(
    **read_stage(snakemake.params),
    metrics=snakemake.input.metrics,
    flows=snakemake.input.flows,
    atlases=snakemake.input.atlases,
    outputs={name: Path(path) for name, path in snakemake.output.items()},
)
