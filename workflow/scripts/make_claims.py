from pathlib import Path

from vqflow.stages.claims import make_claims
from vqflow.stages.job import start_job

start_job(snakemake.log[0])
make_claims(
    metrics=Path(snakemake.input.metrics),
    config=Path(snakemake.input.config),
    table=Path(snakemake.output.table),
    page=Path(snakemake.output.page),
)
