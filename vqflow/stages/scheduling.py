"""Snakemake's scheduler, at rest while nothing has changed.

After each look at the jobs that are ready, Snakemake (9.27) plans another, the timespan of
``--max-jobs-per-timespan`` later, a second by default. Only a rate that is used up needs that. As
each job that ends starts such a chain, and none ends before the run, hundreds of jobs later it
looks at all inputs of all ready jobs without a pause: over half a core. Imports no torch.
"""

from __future__ import annotations

from typing import Any


def rest_between_jobs(scheduler: Any) -> None:
    """Lets a scheduler look again by the clock only where the rate of its jobs is used up.

    That a job has ended makes it look as before. A scheduler that has no rate, or is built another
    way than Snakemake 9's, is left as it is.

    Args:
        scheduler: Snakemake's ``workflow.scheduler``, before it is started.
    """
    rate: Any = getattr(scheduler, "job_rate_limiter", None)
    look_again: Any = getattr(scheduler, "_schedule_reevalutation", None)
    if rate is None or look_again is None:
        return

    def look_again_if_used_up(delay: int) -> None:
        if delay != rate.timespan or rate.get_free_jobs() == 0:
            look_again(delay)

    scheduler._schedule_reevalutation = look_again_if_used_up
