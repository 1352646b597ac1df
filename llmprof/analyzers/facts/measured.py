"""All facts about a run in one record: what rules may ask for. Anything may be None; None means unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from llmprof.analyzers.facts.communication.collectives import CollectiveFacts
from llmprof.analyzers.facts.device.hardware import HardwareFacts
from llmprof.analyzers.facts.device.kernels import KernelFacts
from llmprof.analyzers.facts.device.spread import SoloKernel
from llmprof.analyzers.facts.host.host import HostFacts
from llmprof.analyzers.facts.host.host_causes import HostCauses
from llmprof.analyzers.facts.host.host_memory import HostMemory
from llmprof.analyzers.facts.loading.copies import CopyFacts
from llmprof.analyzers.facts.loading.data_loading import LoaderFacts
from llmprof.analyzers.facts.memory.logits import LogitsFacts
from llmprof.analyzers.facts.memory.memory import MemoryFacts
from llmprof.analyzers.facts.operators.operator_facts import OperatorFacts
from llmprof.analyzers.facts.operators.utilization import Utilization
from llmprof.analyzers.facts.pace.step_table import StepTable
from llmprof.analyzers.facts.partition.partition import Partition
from llmprof.analyzers.facts.pipeline.stage_work import StageWork
from llmprof.analyzers.facts.steps.coverage import RecordingFacts
from llmprof.analyzers.facts.steps.steps import StepFacts, Windows
from llmprof.timeline.environment import Environment

__all__ = ["Facts", "RankFacts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankFacts:
    """The facts of one rank."""

    rank: int
    environment: Environment
    step: StepFacts
    windows: Windows | None = None
    traced: Partition | None = None
    """The partition of the traced steps, as recorded, distorted by the profiler."""
    partition: Partition | None = None
    """The partition of the step that is explained: `traced` corrected to the unprofiled step where that is known."""
    remainder_ns: float | None = None
    """What the correction could not explain of the difference to the unprofiled step; booked under `other`."""
    kernels: KernelFacts | None = None
    copies: CopyFacts | None = None
    collectives: CollectiveFacts | None = None
    loader: LoaderFacts | None = None
    memory: MemoryFacts | None = None
    host: HostFacts | None = None
    causes: HostCauses | None = None
    """What on the host can make the device wait."""
    utilization: Utilization | None = None
    operators: OperatorFacts | None = None
    hardware: HardwareFacts | None = None
    host_memory: HostMemory | None = None
    table: StepTable | None = None
    longer_ns: float = 0.0
    """What the host of a device that runs dry took longer between its phases than in the traced steps; ns per step."""
    logits: LogitsFacts | None = None
    stage: StageWork | None = None
    """Of a rank of a pipeline."""
    solo: Mapping[str, SoloKernel] = field(default_factory=dict)
    """Kernels whose calls can be compared with those of other ranks, by name."""
    died: str | None = None
    overhead_ns: float | None = None
    """What the always-on collectors measured as their own cost per step."""
    recording: RecordingFacts = field(default_factory=RecordingFacts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The facts of a run; `critical` is the rank whose partition stands for the run."""

    ranks: Mapping[int, RankFacts]
    critical: RankFacts
    step: StepFacts
    world_size: int | None = None
    unlinked_kernel_share: float | None = None
    left_out: tuple[str, ...] = ()
    """Ranks or files that were given and could not be used."""
    warnings: tuple[str, ...] = field(default=())
