import os
import re
import subprocess
import sys
from pathlib import Path

from vqflow.config.components import ConfigError
from vqflow.config.inputs import check_data_files, data_digests, plan
from vqflow.config.values import canonical, data_root, dump
from vqflow.config.files import check_files
from vqflow.config.parsing import parse_config
from vqflow.config.requests import gathers_trials
from vqflow.config.selection import selection_of
from vqflow.config.setting import FlowSetting, Scoring
from vqflow.config.figures import (
    across_training,
    kind_of,
    plan_figures,
    stated_figures,
    subject_of,
)
from vqflow.identity import Code
from vqflow.stages.locks import free_dead_locks
from vqflow.stages.machine import uses_gpu
from vqflow.stages.scheduling import rest_between_jobs
from vqflow.stages.scratch import remove_finished

if "benchmarks" not in config:
    raise WorkflowError(
        "no run is chosen: add --configfile config/demo.yaml, or another run's"
    )
try:
    check_files(workflow.configfiles)
    CONFIG = plan(parse_config(config), workflow.is_main_process)
    if workflow.is_main_process:
        check_data_files(CONFIG, data_root(CONFIG.data_root))
    STATED = stated_figures(CONFIG)
    DRAWINGS = plan_figures(CONFIG, STATED, across_training(CONFIG))
except ConfigError as error:
    raise WorkflowError(f"mistakes in the configuration:\n{error}")

RUN = f"results/{CONFIG.run}"
LOGS = f"{RUN}/logs"
BENCHMARKS = f"{RUN}/benchmarks"
SETTINGS = CONFIG.settings()
FLOWS = {key: s for key, s in SETTINGS.items() if isinstance(s, FlowSetting)}
ATLASES = {(s.dataset.name, s.atlas.name): s for s in FLOWS.values()}
FLOW_VARIANTS = sorted({variant for _, variant in FLOWS})
DENSITY_VARIANTS = sorted(set(CONFIG.selected_variants()) - set(FLOW_VARIANTS))
CODE = Code()
SCRIPTS = Path(str(workflow.current_basedir)).parent / "scripts"


def one_of(names):
    """A pattern of the names alone; of nothing where there are none."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


wildcard_constraints:
    dataset=one_of(CONFIG.selected_datasets()),
    variant=one_of(CONFIG.selected_variants()),
    atlas=one_of(sorted({atlas for _, atlas in ATLASES})),
    figure=one_of(DRAWINGS),
    seed=r"\d+",


# A job's trials: one, or all of them where trainings are short.
GATHERED = gathers_trials(CONFIG)
TRIALS = "trials" if GATHERED else "seed{seed}"


def of_trials(pattern):
    """A file of each of the job's trials."""
    if GATHERED:
        return expand(pattern, seed=CONFIG.seeds, allow_missing=True)
    return pattern


def trial_seeds(wildcards):
    return CONFIG.seeds if GATHERED else [int(wildcards.seed)]


def stage(script, value, entries=None):
    """Parameters of a job, and the identity of the code that runs them, as equal text.

    The code is that which the script reaches, and the classes that the entries name, which
    are the parameters themselves where none are given.
    """
    code = CODE.identity(
        [SCRIPTS / f"{script}.py"], value if entries is None else entries
    )
    return canonical({"code": code, "value": value})


def project_environment():
    """The variables of a process that imports the project from where the workflow lies."""
    paths = [workflow.basedir, os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def share_project():
    """Lets jobs in environments by conda, which hold what the project needs, import it."""
    if workflow.deployment_settings.deployment_method:
        os.environ.update(PYTHONPATH=project_environment()["PYTHONPATH"])


def preflight():
    """Builds every selected class once, in a process of its own: parsing imports no torch.

    No rule: whatever all jobs depend on would run them all again with every new variant.
    """
    # Where the jobs run elsewhere, this machine's GPU and memory say nothing of theirs.
    selection = selection_of(CONFIG, STATED, here=workflow.local_exec)
    command = [sys.executable, "-m", "vqflow.stages.preflight"]
    done = subprocess.run(
        command, input=canonical(selection), text=True, env=project_environment()
    )
    if done.returncode != 0:
        raise WorkflowError(
            "preflight: mistakes in the configuration, see above; nothing ran"
        )


def data_params(wildcards):
    """The data set without its preprocessing, which the flows do."""
    entry = dump(CONFIG.datasets[wildcards.dataset])
    del entry["preprocess"]
    return stage("prepare_data", entry)


def data_content(wildcards):
    """What is in the files of the data set: where they lie does not matter."""
    entry = CONFIG.datasets[wildcards.dataset]
    return data_digests(entry.arguments(), data_root(CONFIG.data_root))


def atlas_setting(wildcards):
    return ATLASES[wildcards.dataset, wildcards.atlas].of_atlas()


def atlas_params(wildcards):
    return stage("fit_atlas", dump(atlas_setting(wildcards)))


def atlas_threads(wildcards):
    training = atlas_setting(wildcards).atlas.training
    return training.threads if training else 1


def atlas_gpus(wildcards):
    training = atlas_setting(wildcards).atlas.training
    return gpus(training.device) if training else 0


def setting(wildcards):
    return SETTINGS[wildcards.dataset, wildcards.variant]


def flow_params(wildcards):
    return stage("train_flow", dump(setting(wildcards).of_model()))


def density_params(wildcards):
    return stage("fit_model", dump(setting(wildcards).of_model()))


def variant_threads(wildcards):
    return setting(wildcards).uses.threads


def variant_gpus(wildcards):
    return gpus(setting(wildcards).uses.device)


def samples_params(wildcards):
    return stage("sample_flow", dump(setting(wildcards).sampling))


def atlas_file(dataset, atlas, seed, file):
    return f"{RUN}/atlases/{dataset}/{atlas}/seed{seed}/{file}"


def flow_file(dataset, variant, seed, file):
    return f"{RUN}/flows/{dataset}/{variant}/seed{seed}/{file}"


def flow_atlases(wildcards):
    """The atlas of each trial: made once per data set, atlas and seed, for all flows on it."""
    atlas = setting(wildcards).atlas.name
    return [
        atlas_file(wildcards.dataset, atlas, seed, "atlas.pt")
        for seed in trial_seeds(wildcards)
    ]


def metric_values(names):
    return [dump(CONFIG.metrics[name]) for name in names]


def dataset_uses(wildcards):
    """What states threads and devices of the jobs on a data set."""
    return [
        s.uses for (dataset, _), s in SETTINGS.items() if dataset == wildcards.dataset
    ]


def reference_threads(wildcards):
    return max(uses.threads for uses in dataset_uses(wildcards))


def reference_gpus(wildcards):
    """Networks of the metrics run where the data set's models are trained."""
    return max(gpus(uses.device) for uses in dataset_uses(wildcards))


def reference_params(wildcards):
    metrics = metric_values(CONFIG.selected_metrics(wildcards.dataset))
    return stage("make_reference", metrics)


def evaluate_params(wildcards):
    names = CONFIG.selected_metrics(wildcards.dataset, wildcards.variant)
    metrics = [CONFIG.metrics[name] for name in names]
    return stage("evaluate", dump(Scoring(setting=setting(wildcards), metrics=metrics)))


def over_seeds(file):
    """The file of every trial of one variant on one data set."""
    pattern = flow_file("{dataset}", "{variant}", "{seed}", file)
    return expand(pattern, seed=CONFIG.seeds, allow_missing=True)
