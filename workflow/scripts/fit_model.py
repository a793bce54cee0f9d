from pathlib import Path

from vqflow.config.setting import DensityModelSetting
from vqflow.stages.job import by_seed, machine_of, read_code, read_stage, start_job
from vqflow.stages.model import fit_model

start_job(snakemake.log[0])
fit_model(
    read_stage(snakemake, DensityModelSetting),
    data_path=Path(snakemake.input.data),
    trials=by_seed(
        snakemake.params.seeds,
        scratch=snakemake.params.scratch,
        **dict(snakemake.output.items()),
    ),
    machine=machine_of(snakemake),
    code=read_code(snakemake),
)
