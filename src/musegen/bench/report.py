"""What a bench prints and keeps: one row for each thing measured."""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from musegen import __version__
from musegen.bench.ceilings import Ceilings
from musegen.bench.timing import Timing
from musegen.files import write_whole


@dataclass
class Row:
    """One thing that was measured; what was not is None.

    Args:
        what: whose figure it is, and how it computes: ``us, graph``.
        batch: items of a run.
        lane: items of an execution, and whether that is the reproducible width.
        precision: of the arithmetic.
        cold: seconds of the first call.
        each: seconds an item.
        spread: of the runs, as a share of their median.
        memory: peak gigabytes (10⁹ bytes).
        tflops: 10¹² operations a second, of those that the method asks for.
        mfu: the same as a share of the measured matrix product.
        bandwidth: share of the measured copy, of the bytes that must be moved.
        evaluations: of the network, for one item.
        passes: of one item through the network: an evaluation with guidance counts twice.
        error: relative RMS of the network's evaluation (or of what the row makes) to the plain float32 path.
        guided: the same after guidance, which multiplies the difference of two evaluations.
        same: as error, beside the plain path in the same precision.
        final: as error, of the end of the trajectory.
        apart: largest absolute difference of an item's result between requests, by how it was asked for.
        poster: the poster's seconds an item.
        floor: least seconds an item at the measured ceilings.
        predicted: seconds an item by `musegen.bench.roofline`.
        parts: seconds an item that each part of the work is busy; parts may run beside each other.
        note: anything else.
        failed: why there is no figure.
    """

    what: str
    batch: int
    lane: str = ""
    precision: str = ""
    cold: float | None = None
    each: float | None = None
    spread: float | None = None
    memory: float | None = None
    tflops: float | None = None
    mfu: float | None = None
    bandwidth: float | None = None
    evaluations: float | None = None
    passes: float | None = None
    error: float | None = None
    guided: float | None = None
    same: float | None = None
    final: float | None = None
    apart: dict[str, float] | None = None
    poster: float | None = None
    floor: float | None = None
    predicted: float | None = None
    parts: dict[str, float] | None = None
    note: str = ""
    failed: str = ""

    @property
    def lane_kind(self) -> str:
        """What a lane is called among several batch sizes: ``reproducible``, or nothing."""
        return "reproducible" if "reproducible" in self.lane else ""

    def took(self, timing: Timing, ceilings: Ceilings, flops: float = 0.0, moved: float = 0.0) -> Row:
        """Fill in what follows from a timing of the whole batch, its operations and its bytes; returns itself."""
        self.cold, self.each, self.spread = timing.first, timing.median / self.batch, timing.spread
        self.memory = None if timing.memory is None else timing.memory / 1e9
        if flops:
            self.tflops = flops / timing.median / 1e12
            self.mfu = flops / timing.median / ceilings.matmul.get(self.precision, max(ceilings.matmul.values()))
        if moved:
            self.bandwidth = moved / timing.median / ceilings.copy
        if flops or moved:
            self.floor = ceilings.floor(flops, moved, self.precision) / self.batch
        return self


COLUMNS: dict[str, Callable[[Row, float, str], str]] = {
    "what": lambda row, scale, unit: row.what,
    "batch": lambda row, scale, unit: str(row.batch),
    "lane": lambda row, scale, unit: row.lane,
    "precision": lambda row, scale, unit: row.precision,
    "poster": lambda row, scale, unit: _number(row.poster, scale),
    "measured": lambda row, scale, unit: row.failed[:100] if row.failed else f"{_number(row.each, scale)} {unit}",
    "predicted": lambda row, scale, unit: _number(row.predicted, scale),
    "floor": lambda row, scale, unit: _number(row.floor, scale),
    "±": lambda row, scale, unit: "" if row.spread is None else f"{100 * row.spread:.0f}%",
    "cold s": lambda row, scale, unit: _number(row.cold, 1),
    "GB": lambda row, scale, unit: _number(row.memory, 1),
    "TFLOP/s": lambda row, scale, unit: _number(row.tflops, 1),
    "MFU": lambda row, scale, unit: "" if row.mfu is None else f"{100 * row.mfu:.0f}%",
    "copy": lambda row, scale, unit: "" if row.bandwidth is None else f"{100 * row.bandwidth:.0f}%",
    "evals": lambda row, scale, unit: _number(row.evaluations, 1),
    "passes": lambda row, scale, unit: _number(row.passes, 1),
    "error": lambda row, scale, unit: "" if row.error is None else f"{row.error:.1e}",
    "guided": lambda row, scale, unit: "" if row.guided is None else f"{row.guided:.1e}",
    "same precision": lambda row, scale, unit: "" if row.same is None else f"{row.same:.1e}",
    "at the end": lambda row, scale, unit: "" if row.final is None else f"{row.final:.1e}",
    "largest difference": lambda row, scale, unit: ", ".join(
        f"{name} {value:.1e}" if value else f"{name} 0" for name, value in (row.apart or {}).items()
    ),
    "parts": lambda row, scale, unit: ", ".join(
        f"{name} {_number(of, scale)}" for name, of in (row.parts or {}).items()
    ),
    "note": lambda row, scale, unit: row.note,
}


@dataclass
class Report:
    """The rows of one bench, with what they were measured on.

    Args:
        name: of the bench.
        device: where.
        ceilings: of the device, measured in the same process.
        unit: what times are printed in: ``ms`` or ``s``.
        out: a JSON file, written after each row; None for none.
    """

    name: str
    device: torch.device
    ceilings: Ceilings
    unit: str = "ms"
    out: Path | None = None
    rows: list[Row] = field(default_factory=list)

    def row(self, row: Row, measure: Callable[[Row], object]) -> Row:
        """Measure one row and print it; one that fails says why in its place, and the bench goes on."""
        start = time.perf_counter()
        try:
            measure(row)
        except KeyboardInterrupt:
            raise
        except Exception as error:
            lines = str(error).strip().splitlines() or [""]
            row.failed = f"{type(error).__name__}: {lines[0][:200]}"
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        self.rows.append(row)
        line = " | ".join(text for column in COLUMNS.values() if (text := column(row, *self._scale)))
        print(f"{self.name}: {line} | {time.perf_counter() - start:.0f} s spent", file=sys.stderr, flush=True)
        self._write()
        return row

    @property
    def _scale(self) -> tuple[float, str]:
        return (1e3 if self.unit == "ms" else 1.0), self.unit

    def table(self) -> str:
        """The rows as a Markdown table, without columns that no row fills."""
        cells = {name: [column(row, *self._scale) for row in self.rows] for name, column in COLUMNS.items()}
        cells = {name: column for name, column in cells.items() if any(column)}
        widths = {name: max(map(len, [name, *column])) for name, column in cells.items()}
        lines = [" | ".join(name.ljust(width) for name, width in widths.items())]
        lines.append("-|-".join("-" * width for width in widths.values()))
        lines += [
            " | ".join(cells[name][row].ljust(width) for name, width in widths.items()) for row in range(len(self.rows))
        ]
        return "\n".join(f"| {line} |" for line in lines)

    def finish(self) -> None:
        """Print the table; draw it, where it is written at all and matplotlib is installed."""
        machine = describe(self.device)
        print(f"\n## {self.name}\n\n{machine['device']}, torch {machine['torch']}, musegen {machine['musegen']}")
        rates = ", ".join(f"{name} {rate / 1e12:.3g} TFLOP/s" for name, rate in self.ceilings.matmul.items())
        print(f"measured ceilings: {rates}, copy {self.ceilings.copy / 1e12:.3g} TB/s\n\n{self.table()}\n", flush=True)
        if self.out is not None:
            from musegen.bench.plot import draw

            draw(self.name, self.rows, self._scale, self.out.with_suffix(".png"))

    def _write(self) -> None:
        if self.out is None:
            return
        rows = [{name: value for name, value in asdict(row).items() if value not in (None, "")} for row in self.rows]
        data = {"bench": self.name, "command": sys.argv[1:], **describe(self.device), "ceilings": asdict(self.ceilings)}
        write_whole({self.out: (json.dumps({**data, "unit": self.unit, "rows": rows}, indent=1) + "\n").encode()})


def describe(device: torch.device) -> dict[str, Any]:
    """The machine, as a report names it."""
    gpu = device.type == "cuda"
    return {
        "musegen": __version__,
        "torch": str(torch.__version__),
        "device": torch.cuda.get_device_name(device) if gpu else f"{platform.machine()} CPU",
        "cuda": torch.version.cuda if gpu else None,
        "threads": torch.get_num_threads(),
    }


def relative_error(found: torch.Tensor, reference: torch.Tensor) -> float:
    """Root mean square of the difference over that of the reference."""
    found, reference = found.detach().double().cpu(), reference.detach().double().cpu()
    return float((found - reference).norm() / reference.norm())


def batches(sizes: Sequence[int], device: torch.device, on_cpu: Sequence[int]) -> list[int]:
    """The batch sizes asked for; a few small ones on a CPU where none are."""
    chosen = list(sizes) if sizes else list(on_cpu)
    if any(size < 1 for size in chosen):
        raise ValueError(f"batch_sizes: expected numbers above 0, got {chosen}")
    return chosen


def _number(value: float | None, scale: float) -> str:
    return "" if value is None else f"{value * scale:.3g}"
