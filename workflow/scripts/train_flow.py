from pathlib import Path

from vqflow.logs import read_stage, start_job
from vqflow.stages import train_flow

start_job(snakemake.log[0])
train_flow(
    read_stage(snakemake.params),
    data_path=Path(snakemake.input.data),
    atlas_path=Path(snakemake.input.atlas),
    seed=int(snakemake.wildcards.seed),
    outputs={name: Path(path) for name, path in snakemake.output.items()},
    scratch=Path(snakemake.params.scratch),
)
