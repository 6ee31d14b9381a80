"""Stage 1 of a trained pipeline at several guidances, and its baseline, by how well samples fit held-out captions.

Needs held-out shards of the embeddings that it was trained on, with text states (``musegen cache … --text minilm``).
The judges are those of ``ablate_stage1.py``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from ablate_stage1 import Pairs, judge, summary, table

from musegen.arguments import call
from musegen.checkpoints import load_model
from musegen.devices import choose_device
from musegen.files import write_whole
from musegen.flow.model import FlowModel
from musegen.generation.folder import REGRESSION, find_pipeline
from musegen.mistakes import explain, is_mistake


def guidance_of_stage1(
    shards: Path,
    out: Path,
    model: str | None = None,
    guidance: list[float] | None = None,
    draws: int = 4,
    limit: int | None = None,
    device: str = "auto",
) -> None:
    """Sample an embedding for the first caption of each piece; OUT/guidance.json and OUT/guidance.md.

    Args:
        shards: held-out ones, with embeddings and text states.
        out: folder of the table.
        model: folder of a pipeline, or the name of a shipped one.
        guidance: scales; by default 1 to 6.
        draws: samples for each caption.
        limit: pieces, at most.
        device: auto, cpu, cuda …
    """
    place, folder = choose_device(device), find_pipeline(model)
    pairs = Pairs.read([shards], place, limit)
    parts: list[tuple[str, str, list[float]]] = [("flow", "text2muq", guidance or [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])]
    if (folder / REGRESSION).is_dir():
        parts.append(("regression: the mean", REGRESSION, [1.0]))
    rows: list[dict[str, Any]] = []
    for name, part, scales in parts:
        net = load_model(folder / part, FlowModel).to(place).eval()
        width, got = net.network.shape[0], pairs.vectors.shape[1]
        if width != got:
            raise ValueError(f"{shards}: expected embeddings of {width} numbers, as {folder / part} makes, got {got}")
        for scale in scales:
            figures = summary(judge(net, pairs, scale, draws))
            rows.append({"name": name, "guidance": scale, "figures": figures})
            print(f"{name}, guidance {scale:g}: R² {figures['r2'][0]:.3f}", flush=True)
    pieces = len(pairs.vectors)
    content = {"pieces": pieces, "draws": draws, "chance of top10": min(1.0, 10 / pieces), "rows": rows}
    record, written = json.dumps(content, indent=1, ensure_ascii=False), table(rows, pieces)
    write_whole({out / "guidance.json": f"{record}\n".encode(), out / "guidance.md": written.encode()})
    print(written)


if __name__ == "__main__":
    try:
        torch.set_grad_enabled(False)
        call(guidance_of_stage1, sys.argv[1:], "guidance_of_stage1.py")
    except Exception as error:
        if not is_mistake(error):
            raise
        sys.exit(f"guidance_of_stage1: {explain(error)}")
