"""A training run's curves as one small CSV: step, name, value, from what TensorBoard keeps."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from musegen.arguments import call
from musegen.files import write_whole
from musegen.mistakes import explain, is_mistake


def curves(run: Path, out: Path, points: int = 300) -> None:
    """Write a run's scalars.

    Args:
        run: folder with TensorBoard's files, such as runs/default_vae/version_0.
        out: the CSV.
        points: of each curve, at most; of a longer one every second, third … and the last are kept.
    """
    if not any(run.glob("events.out.tfevents.*")):
        raise ValueError(f"{run}: expected files of TensorBoard (events.out.tfevents.…), got none")
    events = EventAccumulator(str(run), size_guidance={"scalars": 0})
    events.Reload()
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["name", "step", "value"])
    for name in sorted(set(events.Tags()["scalars"]) - {"epoch", "hp_metric"}):
        scalars = events.Scalars(name)
        stride = -(-len(scalars) // points)
        kept = scalars[stride - 1 :: stride]
        for scalar in [*kept, *(scalars[-1:] if kept[-1] is not scalars[-1] else [])]:
            rows.writerow([name, scalar.step, f"{scalar.value:.6g}"])
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole({out: text.getvalue().encode()})
    print(out)


if __name__ == "__main__":
    try:
        call(curves, sys.argv[1:], "curves.py")
    except Exception as error:
        if not is_mistake(error):
            raise
        sys.exit(f"curves: {explain(error)}")
