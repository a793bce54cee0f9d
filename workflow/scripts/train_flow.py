from pathlib import Path

from vqflow.config.setting import ModelSetting
from vqflow.stages.flow import train_flow
from vqflow.stages.job import by_seed, machine_of, read_code, read_stage, start_job

start_job(snakemake.log[0])
train_flow(
    read_stage(snakemake, ModelSetting),
    data_path=Path(snakemake.input.data),
    trials=by_seed(
        snakemake.params.seeds,
        atlas=snakemake.input.atlas,
        scratch=snakemake.params.scratch,
        **dict(snakemake.output.items()),
    ),
    machine=machine_of(snakemake),
    code=read_code(snakemake),
)
