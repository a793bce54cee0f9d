from pathlib import Path

from vqflow.config.setting import AtlasSetting
from vqflow.stages.atlas import fit_atlas
from vqflow.stages.job import by_seed, machine_of, read_code, read_stage, start_job

start_job(snakemake.log[0])
fit_atlas(
    read_stage(snakemake, AtlasSetting),
    data_path=Path(snakemake.input.data),
    trials=by_seed(
        snakemake.params.seeds, scratch=snakemake.params.scratch, **dict(snakemake.output.items())
    ),
    machine=machine_of(snakemake),
    code=read_code(snakemake),
)
