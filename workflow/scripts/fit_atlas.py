from pathlib import Path

from vqflow.stages.atlas import fit_atlas
from vqflow.stages.job import by_seed, read_stage, start_job

start_job(snakemake.log[0])
fit_atlas(
    read_stage(snakemake.params),
    data_path=Path(snakemake.input.data),
    trials=by_seed(
        snakemake.params.seeds, scratch=snakemake.params.scratch, **dict(snakemake.output.items())
    ),
)
