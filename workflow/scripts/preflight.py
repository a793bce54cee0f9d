from vqflow.logs import read_stage, start_job
from vqflow.preflight import check

start_job(snakemake.log[0])
check(read_stage(snakemake.params), snakemake.output[0])
