from pathlib import Path

from vqflow.logs import read_stage, start_job
from vqflow.stages import evaluate

start_job(snakemake.log[0])
stage = read_stage(snakemake.params)
paths = (snakemake.input.models, snakemake.input.samples, snakemake.input.histories)
evaluate(
    stage["setting"],
    variant=snakemake.wildcards.variant,
    metrics=stage["metrics"],
    data_path=Path(snakemake.input.data),
    reference_path=Path(snakemake.input.reference),
    runs={
        seed: {"model": model, "samples": samples, "history": history}
        for seed, model, samples, history in zip(snakemake.params.seeds, *paths, strict=True)
    },
    output=Path(snakemake.output[0]),
)
