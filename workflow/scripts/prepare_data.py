from pathlib import Path

from vqflow.config.entries import DatasetEntry
from vqflow.config.values import data_root
from vqflow.stages.data import prepare_data
from vqflow.stages.job import read_stage, start_job

start_job(snakemake.log[0])
prepare_data(
    read_stage(snakemake, DatasetEntry),
    data_root=data_root(snakemake.config["data_root"]),
    output=Path(snakemake.output[0]),
)
