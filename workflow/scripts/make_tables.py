from pathlib import Path

from vqflow.stages.job import read_values, start_job
from vqflow.stages.tables import make_tables

start_job(snakemake.log[0])
make_tables(
    **read_values(snakemake),
    metrics=snakemake.input.metrics,
    points=snakemake.input.points,
    flows=snakemake.input.flows,
    statuses=snakemake.input.statuses,
    atlases=snakemake.input.atlases,
    outputs={name: Path(path) for name, path in snakemake.output.items()},
)
