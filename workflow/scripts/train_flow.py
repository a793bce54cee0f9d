from pathlib import Path

from vqflow.logs import by_seed, read_stage, start_job
from vqflow.stages.flow import train_flow

start_job(snakemake.log[0])
train_flow(
    read_stage(snakemake.params),
    data_path=Path(snakemake.input.data),
    trials=by_seed(
        snakemake.params.seeds,
        atlas=snakemake.input.atlas,
        scratch=snakemake.params.scratch,
        **dict(snakemake.output.items()),
    ),
)
