"""What is this run? Software, device, settings, parallelism and host, as the training process sees them.

Builds the keys of timeline.environment.Environment as plain dicts and lists; what cannot be read is None, not a guess,
and `unread` says why. One module a question; this one asks them all, at three moments.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from llmprof.collectors.live.collector import NEVER
from llmprof.collectors.live.configuration.compilation import compilation, is_compiled
from llmprof.collectors.live.configuration.host import host_limits, usable_cores
from llmprof.collectors.live.configuration.loaders import loader_settings
from llmprof.collectors.live.configuration.model import bytes_by_dtype, model_settings
from llmprof.collectors.live.configuration.optimizers import optimizer_settings, trained_parameters
from llmprof.collectors.live.configuration.parallelism import distribution, parallel_settings
from llmprof.collectors.live.configuration.precision import precision, tf32_allowed
from llmprof.collectors.live.configuration.probing import Probes, alive
from llmprof.collectors.live.configuration.regions import Regions
from llmprof.collectors.live.configuration.software import device_identity, device_settings, software
from llmprof.collectors.live.configuration.variables import variables

if TYPE_CHECKING:
    from llmprof.collectors.live.collector import StepRecord
    from llmprof.collectors.live.session import Session

__all__ = ["Configuration", "environment", "usable_cores"]

SECOND_LOOK = 3
"""The step, still in the warm-up, after which the settings are read again."""


class Configuration:
    """Writes `environment` and `device` into rank.json at the start, and again when more has been seen."""

    name = "configuration"

    def __init__(self) -> None:
        self._session: Session | None = None
        self._regions = Regions()
        self.next_step = SECOND_LOOK

    def start(self, session: Session) -> None:
        """Read it once now: a run that is killed keeps this."""
        self._session = session
        self._write(session, first=True)
        self._regions.begin()

    def on_step(self, record: StepRecord) -> None:
        """Look once more early on: a loader is known when it has fed a step, and the run may be killed later."""
        if record["n"] >= self.next_step and self._session is not None:
            self.next_step = NEVER
            self._regions.end()
            if self._regions.failure is None:
                self._regions.whole_steps = SECOND_LOOK  # those after step 0, with which the session began
            self._write(self._session)

    def stop(self) -> None:
        """Read it again: all loaders have been used, everything is compiled."""
        self._regions.end()
        if self._session is not None:
            self._write(self._session)

    def _write(self, session: Session, *, first: bool = False) -> None:
        # Some getters (TF32 among them) warn about their own successors; that is not the script's business.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = environment(session, self._regions)
            if not first:  # what has gone meanwhile (a loader after its last epoch) was there: keep what is noted
                found = {name: value for name, value in found.items() if value not in (None, [], {})}
            session.update_rank(environment=found, device=device_identity(import_module("torch")))


def environment(session: Session, regions: Regions | None = None) -> dict[str, Any]:
    """The fields of timeline.environment.Environment that a training process can tell."""
    torch: Any = import_module("torch")
    probes, watched = Probes(), regions or Regions()
    optimizers, models = alive(session.optimizers), alive(session.models)
    parameters = trained_parameters(optimizers)
    found = {
        **software(torch, probes),
        **distribution(torch, session.world_size),
        **_numerics(torch, probes, watched),
        "compilation": probes.read("compilation", lambda: compilation(models)),
        **parallel_settings(models, parameters, session.world_size, probes),
        **host_limits(probes),
        "device": probes.read("device", lambda: device_settings(torch)) or {},
        "gpus_per_node": probes.read("gpus_per_node", lambda: _visible_gpus(torch)),
        "host": session.host,
        "local_rank": session.local_rank,
        "loaders": [loader_settings(loader) for loader in alive(session.loaders)],
        "optimizers": [optimizer_settings(optimizer) for optimizer in optimizers],
        "models": [
            settings
            for model in models
            if (settings := probes.read("models", lambda model=model: _model(model, watched))) is not None  # type: ignore[misc]
        ],
        "cpu_threads": probes.read("cpu_threads", torch.get_num_threads),
        "parameter_bytes": probes.read("parameter_bytes", lambda: bytes_by_dtype(parameters)) or {},
        "variables": variables(),
        "command": list(getattr(sys, "orig_argv", sys.argv)),
    }
    if watched.failure is not None:
        probes.unread["precision.autocast"] = watched.failure
    return {**found, "unread": probes.unread}


def _numerics(torch: Any, probes: Probes, regions: Regions) -> dict[str, Any]:
    dtypes = [region.partition(" ")[2] for region in sorted(regions.autocast, reverse=True)]
    return {
        "matmul_precision": probes.read("matmul_precision", torch.get_float32_matmul_precision),
        "allow_tf32": probes.read("allow_tf32", lambda: tf32_allowed(torch)),
        "autocast_dtype": dtypes[0] if dtypes else None,
        "precision": probes.read("precision", lambda: precision(torch, probes, regions)) or {},
        "compiled": probes.read("compiled", is_compiled),
    }


def _model(model: Any, regions: Regions) -> dict[str, Any]:
    return model_settings(model, recompute_seen=regions.recomputed)


def _visible_gpus(torch: Any) -> int | None:
    return torch.cuda.device_count() if torch.cuda.is_initialized() else None
