from vqflow.config.expected import file_size, measured
from vqflow.config.requests import (
    Limits,
    atlas_request,
    expected_seconds,
    model_request,
    scoring_request,
    submitted_whole,
)

SUBMITTED_WHOLE = submitted_whole(CONFIG)
EARLIER = measured(
    [folder / "tables" / "runtime.csv" for folder in (Path(RUN), REFERENCE)]
)


def partitions():
    """The partitions of the cluster, as the profile's file states them; none elsewhere."""
    settings = workflow.executor_settings
    file = getattr(settings, "partition_config", None) if settings else None
    if not file:
        return []
    from snakemake_executor_plugin_slurm.partitions import read_partition_file

    return read_partition_file(file)


def gpus(device):
    """How many GPUs a job asks for: on a cluster auto is one where a partition has any."""
    if device == "auto" and partitions():
        return int(any(each.limits.max_gpu > 0 for each in partitions()))
    return int(uses_gpu(device))


def site_limits(gpus):
    """The most that a partition gives to jobs with or without GPUs; without a cluster no limit."""
    limits = [partition.limits for partition in partitions()]
    able = [each for each in limits if (each.max_gpu > 0) == (gpus > 0)] or limits
    return Limits(
        runtime=max((each.max_runtime for each in able), default=Limits.runtime),
        mem_mb=max((each.max_mem_mb for each in able), default=Limits.mem_mb),
    )


def size_of(wildcards):
    return file_size(Path(f"{RUN}/data/{wildcards.dataset}.npz"))


def asked(request, field):
    """A resource of a rule: one field of what its jobs request."""

    def of_job(wildcards, attempt):
        return getattr(request(wildcards, attempt), field)

    return of_job


def request_of_atlas(wildcards, attempt):
    return atlas_request(
        atlas_setting(wildcards).atlas,
        len(trial_seeds(wildcards)),
        size_of(wildcards),
        site_limits(atlas_gpus(wildcards)),
        attempt,
    )


def request_of_model(wildcards, attempt):
    return model_request(
        setting(wildcards),
        len(trial_seeds(wildcards)),
        size_of(wildcards),
        EARLIER,
        site_limits(variant_gpus(wildcards)),
        attempt,
    )


def request_of_scoring(wildcards, attempt):
    limits = site_limits(variant_gpus(wildcards))
    return scoring_request([setting(wildcards)], size_of(wildcards), limits, attempt)


def request_of_reference(wildcards, attempt):
    chosen = [s for (name, _), s in SETTINGS.items() if name == wildcards.dataset]
    limits = site_limits(reference_gpus(wildcards))
    return scoring_request(chosen, size_of(wildcards), limits, attempt)


def submission(name):
    """The group of a rule's jobs: of a data set whose jobs are short all are one submission.

    Otherwise each job is one, but for sampling and scoring a model, which are one together. Where
    jobs run here, there are no groups.
    """

    def of_job(wildcards):
        if workflow.local_exec:
            return None
        if wildcards.dataset in SUBMITTED_WHOLE:
            return wildcards.dataset
        if name == "score":
            return f"{wildcards.dataset}-{wildcards.variant}"
        return None

    return of_job


def check_cluster():
    """Refuses what would be found only by jobs that are refused, or that wait for ever."""
    settings = workflow.executor_settings
    if not hasattr(settings, "partition_config"):
        return
    place = "profiles/slurm"
    mistakes = []
    there = answer("sinfo", "--noheader", "--format=%R").split()
    unknown = [each.name for each in partitions() if each.name not in there]
    if there and unknown:
        mistakes.append(
            f"{place}/partitions.yaml: no partition {', '.join(unknown)}; "
            f"the cluster has {', '.join(there)}"
        )
    wanting = [f"{d}, {v}" for (d, v), s in SETTINGS.items() if s.uses.device == "cuda"]
    if partitions() and wanting and not gpus("auto"):
        mistakes.append(
            f"{place}/partitions.yaml: no partition has max_gpu, "
            f"which device: cuda needs ({'; '.join(wanting)})"
        )
    accounts = re.search(
        r"AccountingStorageType\s*=\s*(\S+)", answer("scontrol", "show", "config")
    )
    if settings.status_command == "sacct" and accounts and "none" in accounts[1]:
        mistakes.append(
            f"{place}/config.yaml: slurm-status-command is sacct, but the cluster keeps no "
            "accounts, so that it would never say that a job has ended; set it to squeue"
        )
    if mistakes:
        raise WorkflowError("\n".join(mistakes))


def answer(*command):
    """What a command of the cluster prints; nothing where it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout
    except OSError:
        return ""


def announce():
    """Says what the run will do, and about how long it will take."""
    counts = (
        f"{len(CONFIG.selected_datasets())} data sets, "
        f"{len(CONFIG.selected_variants())} variants, {len(CONFIG.seeds)} seeds"
    )
    told = {"expected": expected_seconds(CONFIG, EARLIER), "cores": workflow.cores or 1}
    logger.info(f"{CONFIG.run}: {counts}", extra=told)
