"""What became of a corpus: how much was kept, what was left out and why, and what is worth knowing of the rest."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from musegen.data.ingest.bandwidth import DULL
from musegen.data.ingest.problems import Skip
from musegen.data.ingest.splits import SPLITS, Split

SHOWN = 5
"""How many names a line shows; all of them are in the file."""


@dataclass
class PackReport:
    """Counts and names.

    Args:
        kept: pieces of each split, as of this run.
        seconds: of them.
        there: pieces that an earlier run had packed.
        skipped: what was left out.
        noted: names of kept pieces, by what is unusual about them.
        rates: how many kept pieces had which sample rate in their files, Hz.
        dull: name and bandwidth in Hz of kept pieces with nothing above 12 kHz.
        licences: how many kept pieces are under which.
        uncaptioned: how many kept pieces have no caption.
    """

    kept: Counter[Split] = field(default_factory=Counter)
    seconds: float = 0.0
    there: int = 0
    skipped: list[Skip] = field(default_factory=list)
    noted: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    rates: Counter[int] = field(default_factory=Counter)
    dull: dict[str, float] = field(default_factory=dict)
    licences: Counter[str] = field(default_factory=Counter)
    uncaptioned: int = 0

    @property
    def total(self) -> int:
        """How many pieces were kept in this run."""
        return sum(self.kept.values())

    def keep(self, name: str, split: Split, facts: Mapping[str, Any]) -> None:
        """Count a piece that was kept."""
        self.kept[split] += 1
        self.seconds += float(facts.get("seconds") or 0.0)
        self.licences[str(facts.get("licence") or "unknown")] += 1
        self.uncaptioned += not facts.get("captions")
        for note in facts.get("notes", ()):
            self.noted[note].append(name)
        if "file_rate" in facts:
            self.rates[facts["file_rate"]] += 1
        if facts.get("bandwidth", DULL) < DULL:
            self.dull[name] = facts["bandwidth"]

    def kinds(self) -> dict[str, list[Skip]]:
        """What was left out, by kind, the most frequent first."""
        found: defaultdict[str, list[Skip]] = defaultdict(list)
        for skip in self.skipped:
            found[skip.kind].append(skip)
        return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))

    def to_json(self) -> dict[str, Any]:
        """Everything, with all names."""
        return {
            "kept": {split: self.kept[split] for split in SPLITS},
            "seconds": round(self.seconds, 3),
            "there already": self.there,
            "skipped": {
                kind: [{"name": skip.name, "detail": skip.detail} for skip in skips]
                for kind, skips in self.kinds().items()
            },
            "noted": dict(sorted(self.noted.items())),
            "file rates": {str(rate): count for rate, count in sorted(self.rates.items())},
            "band-limited": self.dull,
            "licences": dict(sorted(self.licences.items())),
            "without caption": self.uncaptioned,
        }

    def __str__(self) -> str:
        lines = [
            f"kept {self.total} ({self.seconds / 3600:.2f} h): "
            + ", ".join(f"{split} {self.kept[split]}" for split in SPLITS)
            + (f"; {self.there} were there already" if self.there else "")
        ]
        lines += [f"licences: {_counts(self.licences)}"] if self.licences else []
        lines += [f"skipped {len(skips)}, {kind}: {_names(skips)}" for kind, skips in self.kinds().items()]
        lines += [f"noted {len(names)}, {note}: {_names(names)}" for note, names in sorted(self.noted.items())]
        lines += [f"without caption {self.uncaptioned}: good for the codec only"] if self.uncaptioned else []
        if self.dull:
            widths = [f"{width / 1000:.1f}" for width in sorted(self.dull.values())]
            spread = f" to {widths[-1]} kHz (median {widths[len(widths) // 2]})" if widths[0] != widths[-1] else " kHz"
            lines.append(
                f"band-limited {len(self.dull)} of {self.total}: nothing above {widths[0]}{spread}; all files: "
                f"{_counts(self.rates, ' Hz')}. What is band-limited is fit for stage 1, and makes stage 2 and the "
                "codec dull"
            )
        return "\n".join(lines)


def _counts(counter: Counter[Any], unit: str = "") -> str:
    return ", ".join(f"{name}{unit} {count}" for name, count in counter.most_common())


def _names(names: list[Any]) -> str:
    more = len(names) - SHOWN
    return "; ".join(map(str, names[:SHOWN])) + (f"; and {more} more" if more > 0 else "")
