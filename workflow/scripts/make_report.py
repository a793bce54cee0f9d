from pathlib import Path

from vqflow.report.page import write_report
from vqflow.stages.job import start_job

start_job(snakemake.log[0])
write_report(Path(snakemake.output[0]).parent)
