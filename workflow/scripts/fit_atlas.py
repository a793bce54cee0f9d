from pathlib import Path

from vqflow.logs import read_stage, start_job
from vqflow.stages import fit_atlas

start_job(snakemake.log[0])
fit_atlas(
    read_stage(snakemake.params),
    data_path=Path(snakemake.input.data),
    seed=int(snakemake.wildcards.seed),
    outputs={name: Path(path) for name, path in snakemake.output.items()},
    scratch=Path(snakemake.params.scratch),
)
