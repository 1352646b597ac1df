"""Which numbers does the judgement use, and why these? Every limit with its unit, its public source and its reason.

Where no published figure exists the source is "llmprof", and the reason says what the figure rests on.
"""

from __future__ import annotations

from llmprof.analyzers.rules.thresholds import communication, compute, data, host, judgement, memory, system
from llmprof.analyzers.rules.thresholds.communication import *  # noqa: F403 -- a group's constants
from llmprof.analyzers.rules.thresholds.compute import *  # noqa: F403 -- a group's constants
from llmprof.analyzers.rules.thresholds.data import *  # noqa: F403 -- a group's constants
from llmprof.analyzers.rules.thresholds.host import *  # noqa: F403 -- a group's constants
from llmprof.analyzers.rules.thresholds.judgement import *  # noqa: F403 -- a group's constants
from llmprof.analyzers.rules.thresholds.memory import *  # noqa: F403 -- a group's constants
from llmprof.analyzers.rules.thresholds.record import Threshold as Threshold
from llmprof.analyzers.rules.thresholds.system import *  # noqa: F403 -- a group's constants

_GROUPS = (judgement, data, host, compute, communication, memory, system)

ALL: tuple[Threshold, ...] = tuple(
    value for group in _GROUPS for value in vars(group).values() if isinstance(value, Threshold)
)
"""Every threshold, in the order above."""
