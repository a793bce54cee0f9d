import logging
import sys
from pathlib import Path

from vqflow.stages.job import start_job
from vqflow.stages.verify import verify

start_job(snakemake.log[0])
files = {name: Path(path) for name, path in snakemake.input.items()}
found, failure = verify(
    **{"reference_config": None, **files},
    table=Path(snakemake.params.table),
)
logging.getLogger("vqflow").info(found)
print(found)
sys.exit(failure or None)
