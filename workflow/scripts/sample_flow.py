from vqflow.config.components import classes_in
from vqflow.config.entries import Sampling
from vqflow.stages.job import by_seed, machine_of, read_stage, start_job
from vqflow.stages.samples import sample_flow

start_job(snakemake.log[0])
sample_flow(
    read_stage(snakemake, Sampling),
    trials=by_seed(
        snakemake.params.seeds, **dict(snakemake.input.items()), **dict(snakemake.output.items())
    ),
    machine=machine_of(snakemake),
    allow=set(classes_in(snakemake.config)),
)
