"""What several processes counted, as one page: counters, histograms and most gauges added up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

# name, help text, kind, and samples: (name, labels as pairs, value)
Family = tuple[str, str, str, list[tuple[str, tuple[tuple[str, str], ...], float]]]
Snapshot = list[Family]

# Of these the first process's value stands: they say when, or are the same for all.
_FIRST = {"process_start_time_seconds", "process_max_fds"}


def snapshot(registry: CollectorRegistry) -> Snapshot:
    """Return what a registry holds as plain data."""
    return [
        (
            family.name,
            family.documentation,
            family.type,
            [(sample.name, tuple(sorted(sample.labels.items())), float(sample.value)) for sample in family.samples],
        )
        for family in registry.collect()
    ]


def lasting(one: Snapshot) -> Snapshot:
    """Return what stays true of a process that has ended: all but the gauges."""
    return [family for family in one if family[2] != "gauge"]


def merged(snapshots: Sequence[Snapshot]) -> Snapshot:
    """Return several as one, in the order of the first that has each family and sample."""
    families: dict[str, Family] = {}
    sums: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for one in snapshots:
        for name, text, kind, samples in one:
            families.setdefault(name, (name, text, kind, []))
            values = sums.setdefault(name, {})
            for sample, labels, value in samples:
                key = sample, labels
                if key not in values:
                    values[key] = value
                elif name not in _FIRST and not sample.endswith("_created"):
                    values[key] += value
    for name, values in sums.items():
        families[name][3].extend((sample, labels, value) for (sample, labels), value in values.items())
    return list(families.values())


def total(snapshots: Sequence[Snapshot], counter: str, **labels: str) -> float:
    """Return a counter of several processes, with some labels whatever the others are. :param counter: a name of ``METRICS``."""
    wanted = set(labels.items())
    return sum(
        value
        for one in snapshots
        for _, _, _, samples in one
        for sample, found, value in samples
        if sample == f"mailnode_{counter}_total" and wanted <= set(found)
    )


class Merged:
    """Several snapshots, for ``generate_latest``."""

    def __init__(self, snapshots: Sequence[Snapshot]) -> None:
        self._snapshots = snapshots

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        for name, text, kind, samples in merged(self._snapshots):
            family = Metric(name, text, kind)
            for sample, labels, value in samples:
                family.add_sample(sample, dict(labels), value)
            yield family
