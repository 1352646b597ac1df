"""Which GPU is device N of a process? Names and sizes of the GPUs in a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmprof.collectors.files.nsys.names import clean
from llmprof.collectors.files.nsys.tables import Tables, text_of
from llmprof.timeline.environment import Device

__all__ = ["Gpus", "read_gpus"]

_COLUMNS = ("id", "cuDevice", "name", "totalMemory", "smCount", "computeMajor", "computeMinor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpus:
    """The GPUs of the machine of a report, by the recorder's id."""

    devices: Mapping[int, Device]
    ordinals: Mapping[int, int]
    """Id to the CUDA ordinal that the recorder saw."""
    mapped: Mapping[tuple[int, int], int]
    """(pid, ordinal in that process) to id, where the report says so (since schema 3.17)."""

    def id_of(self, pid: int, ordinal: int) -> int | None:
        """The GPU behind a process's device; None when the report describes no GPU.

        CUDA_VISIBLE_DEVICES renumbers devices per process, so without the mapping the recorder's ordinal is a guess.
        """
        found = self.mapped.get((pid, ordinal))
        if found is None:
            found = next((key for key, number in self.ordinals.items() if number == ordinal), None)
        return ordinal if found is None and ordinal in self.devices else found

    def device(self, pid: int, ordinal: int) -> Device:
        """What is known of a process's device."""
        found = self.id_of(pid, ordinal)
        return self.devices.get(found, Device()) if found is not None else Device()

    def guessed(self, pids: Sequence[int]) -> bool:
        """Whether the name of a device of one of these processes could be another one's."""
        known = {pid for pid, _ in self.mapped}
        names = {device.name for device in self.devices.values()}
        return len(names) > 1 and not set(pids) <= known


def read_gpus(tables: Tables) -> Gpus:
    """The GPUs that can compute with CUDA; other display adapters (an integrated one on Windows) have no SMs."""
    devices, ordinals = {}, {}
    for key, ordinal, name, memory, count, major, minor in tables.rows("TARGET_INFO_GPU", _COLUMNS, filled="id"):
        number = _integer(count)
        if number == 0 or not isinstance(key, int):
            continue
        capability = (_integer(major), _integer(minor))
        devices[key] = Device(
            name=clean(text_of(name)) if name else None,
            memory_bytes=_integer(memory) or None,
            sm_count=number,
            capability=(capability[0], capability[1]) if capability[0] and capability[1] is not None else None,
        )
        if isinstance(ordinal, int) and ordinal >= 0:
            ordinals[key] = ordinal
    rows = tables.rows("TARGET_INFO_CUDA_DEVICE", ("pid", "cudaId", "gpuId"), filled="gpuId")
    mapped = {(pid, ordinal): key for pid, ordinal, key in rows if isinstance(pid, int) and isinstance(ordinal, int)}
    return Gpus(devices=devices, ordinals=ordinals, mapped=mapped)


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None
