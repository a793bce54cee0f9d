from pathlib import Path

from vqflow.config.setting import Scoring
from vqflow.stages.evaluate import evaluate
from vqflow.stages.job import by_seed, machine_of, read_stage, start_job

start_job(snakemake.log[0])
files = {key: value for key, value in snakemake.input.items() if key not in ("data", "reference")}
evaluate(
    read_stage(snakemake, Scoring),
    data_path=Path(snakemake.input.data),
    reference_path=Path(snakemake.input.reference),
    runs=by_seed(snakemake.params.seeds, **files),
    output=Path(snakemake.output.table),
    points=Path(snakemake.output.points),
    machine=machine_of(snakemake),
)
