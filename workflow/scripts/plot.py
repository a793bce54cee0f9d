from vqflow.config.components import classes_in
from vqflow.config.figures import Drawing
from vqflow.stages.figure import draw_figure
from vqflow.stages.job import read_stage, start_job

start_job(snakemake.log[0])
draw_figure(
    read_stage(snakemake, Drawing),
    files=dict(snakemake.input.items()),
    allow=set(classes_in(snakemake.config)),
    **dict(snakemake.output.items()),
)
