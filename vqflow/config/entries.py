"""What an entry of the catalogue may say: the keys, their types and their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from vqflow.config.limits import Count, NotNegative, Threads
from vqflow.config.wording import NAME_PATTERN, PATH_PATTERN, unfit

# Names of figures' files hold three of them, and file systems allow 255 bytes.
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=64)]
ImportPath = Annotated[str, Field(pattern=PATH_PATTERN)]
Device = Literal["cpu", "cuda"]
WantedDevice = Literal["cpu", "cuda", "auto"]
Precision = Literal["float32", "bfloat16", "auto"]


class Strict(BaseModel):
    """Knows no other keys, and converts no types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Entry(Strict):
    """An entry of the catalogue: its key there is its name."""

    name: SkipJsonSchema[str] = ""


class Part(BaseModel):
    """A class by its import path, and its keyword arguments."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, populate_by_name=True)

    class_: ImportPath = Field(alias="class", description="Import path of the class.")

    def arguments(self) -> dict[str, Any]:
        """Gives ``{"class": ..., **keyword arguments}``, as ``components.build`` takes it."""
        return {"class": self.class_, **(self.__pydantic_extra__ or {})}

    @model_validator(mode="after")
    def _check_arguments(self) -> Self:
        for mistake in unfit(self.__pydantic_extra__ or {}, ""):
            raise ValueError(mistake)
        return self


class Component(Part):
    """An entry of the catalogue that is a class: its key there is its name."""

    name: SkipJsonSchema[str] = ""


STANDARDISE = "vqflow.preprocessing.Standardise"
LOGIT = "vqflow.preprocessing.Logit"


class DatasetEntry(Component):
    """A data set: a class, its arguments, and the preprocessing of its points."""

    preprocess: list[Part] = Field(
        default_factory=lambda: [Part.model_validate({"class": STANDARDISE})],
        description="Bijections between the data's space and the one that the flow models, "
        "first to last, each fitted on the training split; an empty list is the identity.",
    )

    @field_validator("preprocess", mode="before")
    @classmethod
    def _refuse_keys(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            raise ValueError(f"is a list of bijections; write {_as_list(given)}")
        return given


def _as_list(keys: Mapping[str, Any]) -> str:
    """Says as a list what the keys of earlier versions said: logit, standardise, min_scale."""
    steps = []
    if keys.get("logit") is not None:
        steps.append(f"{{class: {LOGIT}, alpha: {keys['logit']}}}")
    if keys.get("standardise", True):
        least = f", min_scale: {keys['min_scale']}" if keys.get("min_scale") else ""
        steps.append(f"{{class: {STANDARDISE}{least}}}")
    return f"[{', '.join(steps)}]"


class Budget(Strict):
    """The budget and the optimiser of one training."""

    epochs: int = Field(ge=1, description="Most epochs to train.")
    batch_size: int = Field(ge=1, description="Points of a step.")
    learning_rate: float = Field(gt=0, description="Peak learning rate of Adam.")
    schedule: Literal["constant", "cosine", "one_cycle"] = Field(
        "constant", description="Course of the learning rate."
    )
    clip_norm: float = Field(5.0, gt=0, description="Largest norm of the gradient.")
    patience: int | None = Field(
        None,
        ge=1,
        description="Stop after so many epochs without a better validation; null: never.",
    )


class Uses(BaseModel):
    """What jobs may use and ask a scheduler for; no result depends on it."""

    threads: Threads = Field(
        1,
        exclude=True,
        description="CPU threads of the job, fewer where `--cores` is less. A change trains "
        "nothing again, though bits may differ between numbers of threads.",
    )
    device: WantedDevice = Field(
        "cpu",
        exclude=True,
        description="Where it is trained. `cuda` makes the job ask for the resource `gpu=1`; "
        "`auto` is `cuda` where the workflow is started on a machine with a GPU that "
        "CUDA_VISIBLE_DEVICES shows, and else `cpu`. A change trains nothing again, though bits "
        "differ between devices.",
    )
    mem_mb: int | None = Field(
        None,
        ge=100,
        exclude=True,
        description="Memory, in MB, that the job asks a scheduler for; null: estimated.",
    )
    runtime: int | None = Field(
        None,
        ge=1,
        exclude=True,
        description="Minutes that the job asks a scheduler for; null: estimated. A training that "
        "needs more goes on in its next job.",
    )


class Optimisation(Budget, Uses):
    """A training, and what its job may use."""

    def on(self, device: Device) -> Self:
        """Gives the same on a device."""
        return self.model_copy(update={"device": device})


class Choice(Strict):
    """What the number of charts and their overlap are chosen from, for each trial."""

    charts: list[Count] = Field(
        min_length=1,
        description="Values of K. Every combination of K, m and ε is a candidate; centres are "
        "placed once for each K.",
    )
    min_charts: list[Count] = Field(
        min_length=1, description="Values of m; those above K are passed over."
    )
    epsilon: list[NotNegative] = Field(min_length=1, description="Values of ε.")
    embedding: Name = Field(
        description="Embedding whose closed-form start, with a standard normal in place of the "
        "flow, is scored: the mean log-likelihood of the validation split over the covering charts."
    )


class AtlasEntry(Component):
    """An atlas: a class, its arguments, the training of what it learns, and its choices."""

    training: Optimisation | None = Field(
        None, description="How it is trained, of atlases that are."
    )
    choice: Choice | None = Field(
        None,
        description="What `charts: auto` chooses from, for each trial; `min_charts` and `epsilon` "
        "then stand here alone.",
    )

    def arguments(self) -> dict[str, Any]:
        """Gives the class and its arguments, the training among them where there is one."""
        given = super().arguments()
        return given if self.training is None else {**given, "training": self.training}

    def with_charts(self, charts: int, min_charts: int, epsilon: float) -> AtlasEntry:
        """Gives the entry with K, m and ε in the place of its choice."""
        chosen = {"charts": charts, "min_charts": min_charts, "epsilon": epsilon, "choice": None}
        return self.model_copy(update=chosen)

    @model_validator(mode="after")
    def _check_choice(self) -> AtlasEntry:
        given = self.__pydantic_extra__ or {}
        if (given.get("charts") == "auto") != (self.choice is not None):
            raise ValueError("charts: auto and choice go together, the one needs the other")
        if self.choice is not None:
            twice = [name for name in ("min_charts", "epsilon") if name in given]
            if twice:
                raise ValueError(f"{twice[0]} stands beside choice, which chooses it")
            for name in ("charts", "min_charts", "epsilon"):
                values = getattr(self.choice, name)
                if len(set(values)) != len(values):
                    raise ValueError(f"choice.{name}: {values} lists a number twice")
            if min(self.choice.min_charts) > min(self.choice.charts):
                raise ValueError(
                    f"choice.min_charts is {self.choice.min_charts}, with choice.charts "
                    f"{self.choice.charts}: no least number of charts is at most each of these"
                )
        return self


class Training(Optimisation, Entry):
    """How a flow is trained, and what is drawn from it meanwhile."""

    objective: Name = Field(description="What is maximised: an entry of `objectives`.")
    reconstruction_weight: float = Field(
        0.0,
        ge=0,
        description="Weight in the loss of the squared distance of a point to its chart's image, "
        "where an embedding raises the dimension.",
    )
    snapshot_interval: int | None = Field(
        None, ge=1, description="Epochs between two snapshots of samples; null: none."
    )
    snapshot_samples: int | None = Field(
        None,
        ge=1,
        description="Samples of each snapshot; needed with `snapshot_interval`, and at least the "
        "`samples` of every selected metric that scores them.",
    )
    precision: Precision = Field(
        "float32",
        description="What networks with a layer of at least 400 units multiply in while they are "
        "trained. `auto` is `bfloat16` where the processor (AVX512-BF16 or AMX) or the GPU has "
        "instructions for it; what it chose stands in the log and in `provenance.json`. "
        "Validation, scores, samples and narrower networks are float32 always. Not for flows with "
        "layers of their own, such as `MultiScaleRealNVP`.",
    )
    compile: bool = Field(
        False,
        description="Whether the loss is compiled by `torch.compile`. It halves a step of small "
        "networks, and the first step takes 10 to 40 seconds. Where no C++ compiler is, the log "
        "says so and training runs as written.",
    )

    @model_validator(mode="after")
    def _check_snapshots(self) -> Training:
        if self.snapshot_interval is not None and self.snapshot_samples is None:
            raise ValueError("snapshot_interval needs snapshot_samples beside it")
        return self


class Sampling(Entry):
    """What is drawn from the final model."""

    samples: int = Field(
        ge=1,
        description="Samples of each sampler; at least the `samples` of every selected metric.",
    )
    confinement_samples: int = Field(
        ge=1,
        description="Draws per chart to estimate Z_k, the share that stays in its region U_k; a "
        "chart with fewer than 10 hits is drawn again, up to 100 times as often.",
    )


class DensityEntry(Component, Uses):
    """A model that is no flow on an atlas: a class, its arguments, and what its jobs may use."""

    training: Budget | None = Field(None, description="How it is trained, of models that are.")

    def arguments(self) -> dict[str, Any]:
        """Gives the class and its arguments, the training among them where there is one."""
        given = super().arguments()
        return given if self.training is None else {**given, "training": self.training}


class Benchmark(Entry):
    """What to run: every variant on every data set, scored by every metric."""

    datasets: list[Name] = Field(min_length=1, description="Data sets, none twice.")
    variants: list[Name] = Field(min_length=1, description="Variants, none twice.")
    metrics: list[Name] = Field(min_length=1, description="Metrics, none twice.")
    figures: list[Name] = Field(default_factory=list, description="Figures, none twice.")
    sampling: Name = Field("default", description="What is drawn from the final models.")
    substitute: dict[Literal["flows", "atlases", "training"], dict[Name, Name]] = Field(
        default_factory=dict,
        description="Entries to use in place of those that the variants name, in this benchmark "
        "only: for each section, the name that variants use and the one to take instead.",
    )
