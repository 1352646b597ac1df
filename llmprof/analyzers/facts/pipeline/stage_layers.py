"""Which layers does each stage of a pipeline have, and how are they divided best? Counted, not named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.facts.pipeline.pipeline_model import PipelineModel

__all__ = ["Division", "best_division", "division_for", "layers_by_stage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """A number of layers for each stage, and how many times its work each stage has with them."""

    factors: tuple[float, ...]
    layers: tuple[int, ...] = ()
    """Empty where it is not known how many there are: the work is divided equally then."""


def layers_by_stage(facts: Facts) -> tuple[int, ...] | None:
    """How many layers each stage has, in the order of the stages; None where the models do not tell.

    Layers are the modules of the class that every stage has and of which there are the fewest, but more than stages:
    an attention stands in a block once, a linear layer several times.
    """
    held: dict[int, Mapping[str, int]] = {}
    for rank in facts.ranks.values():
        own, models = rank.environment.pipeline, rank.environment.models
        if own is not None and len(own.local_stages) == 1 and models:
            held[own.local_stages[0]] = models[0].modules
    settings = facts.critical.environment.pipeline
    if settings is None or not settings.stages or set(held) != set(range(settings.stages)):
        return None
    modules = [held[stage] for stage in range(settings.stages)]
    common = set.intersection(*(set(one) for one in modules))
    counts = [tuple(one[name] for one in modules) for name in common]
    return min((one for one in counts if sum(one) > len(one)), key=lambda one: (sum(one), one), default=None)


def division_for(facts: Facts, model: PipelineModel) -> Division:
    """The best division of the recorded pipeline's layers."""
    return best_division([stage.work_ns for stage in model.stages], layers_by_stage(facts))


def best_division(work_ns: Sequence[float], layers: Sequence[int] | None) -> Division:
    """The division of all layers in which the longest stage is the shortest, at least one layer a stage.

    work_ns    what each stage takes now. The leanest stage is taken to be nothing but layers; what another one takes
               more for the same number (an output layer, a loss) stays where it is
    layers     how many each stage has; None makes all stages equal
    """
    if layers is None or min(layers) < 1:
        mean = sum(work_ns) / len(work_ns)
        return Division(factors=tuple(mean / one if one > 0 else 1.0 for one in work_ns))
    each = min(work / count for work, count in zip(work_ns, layers, strict=True))
    rest = [work - each * count for work, count in zip(work_ns, layers, strict=True)]
    given = [1] * len(layers)
    for _ in range(sum(layers) - len(layers)):
        least = min(range(len(given)), key=lambda stage: (rest[stage] + each * given[stage], stage))
        given[least] += 1
    after = [rest[stage] + each * count for stage, count in enumerate(given)]
    factors = tuple(new / old if old > 0 else 1.0 for new, old in zip(after, work_ns, strict=True))
    return Division(layers=tuple(given), factors=factors)
