"""Was a debugging switch left on?

Detects:
    Environment variables and settings that are made for finding errors: CUDA_LAUNCH_BLOCKING,
    TORCH_DISTRIBUTED_DEBUG, TORCH_LOGS, NCCL_DEBUG above WARN, PYTORCH_NO_CUDA_MEMORY_CACHING, autograd's anomaly
    detection.

Why it costs time:
    CUDA_LAUNCH_BLOCKING makes the host wait for every kernel, so host and device never work at the same time.
    Anomaly detection keeps a stack for every operator and reads on the host whether a gradient holds NaN.
    TORCH_DISTRIBUTED_DEBUG=DETAIL checks every collective with another one. Without its cache the allocator asks the
    driver for every tensor. The others write logs.

How it is measured:
    From the recorded environment and settings. Under CUDA_LAUNCH_BLOCKING host and device take turns, so without it
    the step is as long as the longer of the two, and the shorter one is gained; besides, each launch no longer waits
    for the news of its kernel's end. Anomaly detection is taken out of the replayed step: its reads in the backward
    pass, and stretches inside of operators of the forward pass that are too long for anything but a stack. So are the
    driver's calls of an allocator without its cache. What the others cost is found by trying.

Does not apply when:
    The recording does not say which variables were set.

Fix:
    Unset the variable, or take the switch out of the script.

Verify:
    Record 50 steps with and without it.
"""

from __future__ import annotations

from collections.abc import Callable

from llmprof.analyzers.diagnosis import Gain
from llmprof.analyzers.facts.measured import Facts
from llmprof.analyzers.rules import evidence, thresholds
from llmprof.analyzers.rules.base import Judgement, Rule
from llmprof.analyzers.rules.fixes import recommend
from llmprof.analyzers.rules.gains import gain, no_gain, part_ns
from llmprof.units import format_ns

__all__ = ["RULE", "evaluate"]

RULE = Rule(
    id="debug-switches",
    category="host",
    title="No debugging switch is on",
    failed_title="A debugging switch is on",
    fixes=("debug-off",),
    thresholds=(thresholds.SWITCHES,),
)

_ANOMALY = "autograd anomaly detection"


def _on(value: str) -> bool:
    return value.strip().lower() not in ("", "0", "false", "off", "no")


def _detail(value: str) -> bool:
    return value.strip().upper() == "DETAIL"


def _chatty(value: str) -> bool:
    return value.strip().upper() in ("INFO", "TRACE", "ABORT")


_SWITCHES: dict[str, Callable[[str], bool]] = {
    "CUDA_LAUNCH_BLOCKING": _on,
    "PYTORCH_NO_CUDA_MEMORY_CACHING": _on,
    "TORCH_DISTRIBUTED_DEBUG": _detail,
    "NCCL_DEBUG": _chatty,
    "TORCH_LOGS": _on,
    "TORCH_CPP_LOG_LEVEL": _chatty,
}
"""Variables by what value of them is for debugging (PyTorch documentation: CUDA environment variables, distributed
logging, torch._logging; NCCL documentation: environment variables)."""
NEWS_NS, MOST_NEWS_NS = 5_000.0, 10_000.0
"""How long it takes until the host knows that a kernel has ended and the next launch begins. Of own recordings on an
H200 without and with the switch (1,000 kernels a step): 6.5 µs a launch."""
_SLOW = ("CUDA_LAUNCH_BLOCKING", "PYTORCH_NO_CUDA_MEMORY_CACHING", "TORCH_DISTRIBUTED_DEBUG", _ANOMALY)
"""Those that are documented to slow a run down, not only to write."""
_TOLD = {
    _ANOMALY: "Every operator keeps its stack, and every gradient is read on the host.",
    "PYTORCH_NO_CUDA_MEMORY_CACHING": "Every tensor is asked of the driver, and given back to it.",
}
"""What those cost that a replay takes out."""


def evaluate(facts: Facts) -> Judgement:
    """Look at the settings of all ranks."""
    ranks: dict[str, list[int]] = {}
    values: dict[str, str] = {}
    known = False
    for number, rank in facts.ranks.items():
        variables, anomaly = rank.environment.variables, rank.environment.precision.detect_anomaly
        known = known or bool(variables) or anomaly is not None
        found = {name: text for name, text in variables.items() if name in _SWITCHES and _SWITCHES[name](text)}
        if anomaly:
            found[_ANOMALY] = "on"
        for name, text in found.items():
            ranks.setdefault(name, []).append(number)
            values[name] = text
    if not known:
        return RULE.no_data("The recording does not say which environment variables were set; `llmprof run` does.")
    if len(values) < thresholds.SWITCHES.value:
        return RULE.passed("None of the known debugging switches is on.")
    names = sorted(values, key=lambda name: (name not in _SLOW, name))
    slow = [name for name in names if name in _SLOW]
    cost, estimate, why = _cost(facts, slow)
    shown = [evidence.number(name, values[name], "", source="environment") for name in names]
    return RULE.fired(
        facts,
        f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} set, which is meant for finding errors.",
        cost_ns=cost,
        confidence=0.95,
        evidence=shown,
        recommendations=[
            recommend(
                "debug-off",
                rule=RULE.id,
                facts=facts,
                action=f"Unset {' and '.join(names)}",
                why=why,
                how=_how(names),
                gain=estimate,
                watch="the step",
            )
        ],
        ranks=tuple(sorted({number for name in names for number in ranks[name]})),
        severity=None if cost is not None else "warning" if slow else "info",
    )


def _cost(facts: Facts, slow: list[str]) -> tuple[float | None, Gain, str]:
    """What is lost, what unsetting brings, and why."""
    partition = facts.critical.partition
    known = [told for name, told in _TOLD.items() if name in slow]
    if known and "CUDA_LAUNCH_BLOCKING" not in slow:
        return None, no_gain(facts), " ".join(known)
    if "CUDA_LAUNCH_BLOCKING" not in slow or partition is None or partition.cpu_only:
        return None, no_gain(facts), "How much it costs is not known before it has been tried."
    device = part_ns(facts, "compute", "memcpy", "communication")
    host = part_ns(facts, "host", "sync")
    shorter = min(device, host)
    times = facts.critical.host.launches if facts.critical.host is not None else None
    # News can only be saved out of what the device idles.
    news, most = (min(one * (times or 0.0), max(host - shorter, 0.0)) for one in (NEWS_NS, MOST_NEWS_NS))
    why = (
        f"The host waits for every kernel: {format_ns(host)} of host work and {format_ns(device)} of device work take "
        "turns, and run at the same time without it."
    )
    estimate = gain(
        facts,
        expected_ns=shorter + news,
        low_ns=0.5 * shorter,
        high_ns=shorter + most,
        at_most_ns=shorter + most,
    )
    return shorter + news, estimate, why


def _how(names: list[str]) -> str:
    variables = [name for name in names if name != _ANOMALY]
    parts = [f"unset {' '.join(variables)}"] if variables else []
    if _ANOMALY in names:
        parts.append("torch.autograd.set_detect_anomaly(False)")
    return "; ".join(parts)
