from pathlib import Path

from vqflow.stages.evaluate import evaluate
from vqflow.stages.job import by_seed, read_stage, start_job

start_job(snakemake.log[0])
stage = read_stage(snakemake.params)
evaluate(
    stage["setting"],
    variant=snakemake.wildcards.variant,
    metrics=stage["metrics"],
    data_path=Path(snakemake.input.data),
    reference_path=Path(snakemake.input.reference),
    runs=by_seed(
        snakemake.params.seeds,
        model=snakemake.input.models,
        samples=snakemake.input.samples,
        history=snakemake.input.histories,
    ),
    output=Path(snakemake.output[0]),
)
