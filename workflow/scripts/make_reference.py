from pathlib import Path

from vqflow.stages.evaluate import make_reference
from vqflow.stages.job import machine_of, read_components, start_job

start_job(snakemake.log[0])
make_reference(
    read_components(snakemake),
    data_path=Path(snakemake.input.data),
    output=Path(snakemake.output[0]),
    machine=machine_of(snakemake),
)
