from pathlib import Path

from vqflow.stages.evaluate import make_reference
from vqflow.stages.job import read_stage, start_job

start_job(snakemake.log[0])
make_reference(
    read_stage(snakemake.params),
    data_path=Path(snakemake.input.data),
    output=Path(snakemake.output[0]),
    threads=snakemake.params.threads,
    device=snakemake.params.device,
)
