"""The choices of stage 1 compared, one at a time, by how well what is sampled fits held-out captions.

Needs shards of embeddings and text states (``musegen cache … --text minilm``). Each variant is trained alike, and the
average of its weights is judged; all read the same batches in the same order.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from musegen.arguments import call
from musegen.conditioning.caption import CaptionConditioner
from musegen.conditioning.conditioning import Conditioning
from musegen.conditioning.minilm import MiniLM
from musegen.data.items import ItemMaker
from musegen.data.random_access import ShardFolder
from musegen.devices import choose_device
from musegen.files import write_whole
from musegen.flow.guidance.classifier_free import ClassifierFree
from musegen.flow.model import FlowModel
from musegen.flow.noise import hash_seed, training_noise, training_uniform
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.flow.regression import RegressionModel
from musegen.flow.samplers.midpoint import Midpoint
from musegen.flow.times import LogitNormal, TimeDistribution, Uniform
from musegen.mistakes import explain, is_mistake
from musegen.models.base import Condition
from musegen.models.embedding_transformer import EmbeddingTransformer
from musegen.stages.schedules import WarmUpCosine

NOISE, TIME, DROP, CHOICE = range(4)  # streams of an item's randomness
PLACES = (1, 10)


@dataclass(frozen=True)
class Variant:
    """One way to build and train stage 1."""

    name: str
    tokens: int = 8
    standardise: bool = True
    uniform: bool = False
    regression: bool = False
    guidance: tuple[float, ...] = (3.0,)


BASE = Variant("8 tokens, standardised, logit-normal times", guidance=(1.0, 1.5, 2.0, 3.0, 4.0, 6.0))
VARIANTS = (
    BASE,
    replace(BASE, name="one token", tokens=1, guidance=(1.0, 3.0)),
    replace(BASE, name="raw targets", standardise=False, guidance=(1.0, 3.0)),
    replace(BASE, name="uniform times", uniform=True, guidance=(1.0, 3.0)),
    replace(BASE, name="one token, raw, uniform times", tokens=1, standardise=False, uniform=True, guidance=(1.0, 3.0)),
    replace(BASE, name="regression: the mean", regression=True, guidance=(1.0,)),
)


@dataclass(frozen=True)
class Pairs:
    """Captions and the music's vectors, in memory.

    Args:
        vectors: ``[pieces, dim]``, unit vectors.
        states: of every caption, ``[captions, tokens, width]``, float16.
        masks: ``[captions, tokens]``.
        first: number of each piece's first caption, and one more, ``[pieces + 1]``.
        said: the first caption of each piece.
    """

    vectors: Tensor
    states: Tensor
    masks: Tensor
    first: Tensor
    said: list[str] = field(repr=False)

    @classmethod
    def read(cls, folders: Sequence[Path], device: torch.device, limit: int | None) -> Pairs:
        """Read folders of shards.

        Raises:
            ValueError: if one has no embeddings or no text states.
        """
        vectors, states, first, said = [], [], [0], []
        make = ItemMaker(["embedding"], training=False)
        for folder in map(ShardFolder, folders, [["embedding", "text"]] * len(folders)):
            for number in range(len(folder)):
                if limit is not None and len(said) == limit:
                    break
                sample = folder[number]
                vectors.append(make(sample)["embedding"])
                states += [torch.tensor(one) for one in sample.text or ()]
                first.append(len(states))
                said.append(sample.captions[0])
        lengths = torch.tensor([len(one) for one in states])
        padded = torch.nn.utils.rnn.pad_sequence(states, batch_first=True)
        masks = torch.arange(padded.shape[1]) < lengths[:, None]
        return cls(
            torch.stack(vectors).to(device), padded.to(device), masks.to(device), torch.tensor(first).to(device), said
        )

    def condition(self, captions: Tensor) -> Condition:
        """What captions, by number, tell."""
        return Condition(self.states[captions].float(), self.masks[captions])


def build(variant: Variant, train: Pairs, dim: int, depth: int) -> FlowModel:
    """The network of a variant, told the statistics of what it learns."""
    torch.manual_seed(0)
    size = train.vectors.shape[1]
    network = EmbeddingTransformer(dim, depth, dim // 64 or 1, size, variant.tokens, train.states.shape[2])
    conditioning = Conditioning({"caption": CaptionConditioner(MiniLM())}, ["caption"])
    if variant.regression:
        model: FlowModel = RegressionModel(network, conditioning)  # a mean is shorter than what it is the mean of
    else:
        model = FlowModel(network, conditioning, RectifiedFlow(), normalise_output=True)
    if variant.standardise:
        model.statistics.set(train.vectors.double().mean(0).cpu(), train.vectors.double().std(0).clamp(min=1e-8).cpu())
    return model.to(train.vectors.device)


def train_model(model: FlowModel, variant: Variant, pairs: Pairs, steps: int, batch: int, rate: float) -> FlowModel:
    """Train, and leave the model with the average of its weights."""
    device = pairs.vectors.device
    times: TimeDistribution = Uniform() if variant.uniform else LogitNormal()
    weights: list[Tensor] = list(model.network.parameters())
    decayed = [weight for weight in weights if weight.ndim > 1]
    rest = [weight for weight in weights if weight.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": decayed}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, rate, betas=(0.9, 0.98), weight_decay=0.05, fused=True)
    schedule = WarmUpCosine(optimizer, steps, min(300, steps // 10), decay_from=0.3)
    average = [weight.detach().clone() for weight in weights]
    counts = pairs.first.diff()
    order = torch.Generator().manual_seed(1)
    for step in range(steps):
        chosen = torch.randint(len(pairs.vectors), (batch,), generator=order).to(device)
        seeds = torch.tensor([hash_seed(step, place) for place in range(batch)], device=device)
        which = (training_uniform(seeds, CHOICE) * counts[chosen]).long()
        data = pairs.vectors[chosen]
        condition = pairs.condition(pairs.first[chosen] + which)
        noise = training_noise(seeds, data.shape[1:], NOISE)
        drop = training_uniform(seeds, DROP) < 0.1
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            losses = model.losses(data, condition, times.sample(training_uniform(seeds, TIME)), noise, drop=drop)
        losses.mean().backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, weights, 1 - min(0.999, (1 + step) / (10 + step)))
    with torch.no_grad():
        torch._foreach_copy_(weights, average)
    return model.eval()


@torch.no_grad()
def judge(model: FlowModel, pairs: Pairs, guidance: float, draws: int) -> dict[str, Tensor]:
    """Sample for each held-out piece's first caption; one number for each piece.

    R² compares squared errors with those of the best constant, the mean vector of the pieces. A sampler that is right
    has twice the error of the mean, which is what regression aims at: its draws' mean is to be compared with that. A
    vector is found where its own piece is among the nearest of all; pieces with the very same caption are no rivals.
    """
    captions = pairs.first[:-1].repeat(draws)
    seeds = [hash_seed(draw, piece) for draw in range(draws) for piece in range(len(pairs.vectors))]
    settings = {"sampler": Midpoint(), "steps": 25, "guidance": ClassifierFree(guidance), "lane": min(256, len(seeds))}
    sampled = model.sample(pairs.condition(captions), seeds, **settings)  # type: ignore[arg-type]
    sampled = sampled.view(draws, *pairs.vectors.shape)
    same = torch.tensor([[a == b for b in pairs.said] for a in pairs.said], device=sampled.device)
    same.fill_diagonal_(False)
    near = sampled @ pairs.vectors.T
    own = near.diagonal(dim1=1, dim2=2)[..., None]
    rivals = ((near > own) & ~same).sum(2)
    spread = (sampled - sampled.mean(0)).square().sum(2).mean(0)
    figures = {
        "error": (sampled - pairs.vectors).square().sum(2).mean(0),
        "error of mean": (sampled.mean(0) - pairs.vectors).square().sum(1),
        "constant": (pairs.vectors - pairs.vectors.mean(0)).square().sum(1),
        "cosine": (F.normalize(sampled, dim=2) * pairs.vectors).sum(2).mean(0),
        "spread": spread,
    }
    return figures | {f"top{places}": (rivals < places).float().mean(0) for places in PLACES}


def summary(figures: Mapping[str, Tensor], draws: int = 1000) -> dict[str, tuple[float, float, float]]:
    """Each figure with the ends of its 95 % bootstrap interval over pieces."""
    chance = torch.Generator().manual_seed(0)
    pieces = len(figures["error"])
    picks = torch.cat([torch.arange(pieces)[None], torch.randint(pieces, (draws, pieces), generator=chance)])
    means = {name: values.double().cpu()[picks].mean(1) for name, values in figures.items()}
    constant = means.pop("constant")
    means["r2"] = 1 - means.pop("error") / constant
    means["r2 of mean"] = 1 - means.pop("error of mean") / constant
    bounds = torch.tensor([0.025, 0.975], dtype=torch.double)
    return {name: (float(values[0]), *map(float, values[1:].quantile(bounds))) for name, values in means.items()}  # type: ignore


COLUMNS = {
    "r2": "R²",
    "r2 of mean": "R² of the draws' mean",
    "top1": "top-1",
    "top10": "top-10",
    "cosine": "cosine",
    "spread": "spread",
}


def table(rows: Sequence[Mapping[str, Any]], pieces: int) -> str:
    """The results in Markdown."""
    lines = [
        f"| variant | guidance | {' | '.join(COLUMNS.values())} |",
        f"|---|---|{'---|' * len(COLUMNS)}",
    ]
    for row in rows:
        cells = ["{:.3f} ({:.3f} to {:.3f})".format(*row["figures"][name]) for name in COLUMNS]
        lines.append(f"| {row['name']} | {row['guidance']:g} | {' | '.join(cells)} |")
    chance = min(1.0, 10 / pieces)
    note = f"{pieces} held-out pieces, first caption; chance of top-10 {chance:.3f}; 95 % bootstrap over pieces."
    return "\n".join([*lines, "", note, ""])


def ablate_stage1(
    train: list[Path],
    val: list[Path],
    out: Path,
    steps: int = 3000,
    batch: int = 256,
    rate: float = 1e-3,
    dim: int = 192,
    depth: int = 3,
    draws: int = 4,
    limit: int | None = None,
    only: list[int] | None = None,
    device: str = "auto",
) -> None:
    """Train every variant and judge it; OUT/stage1.md and OUT/stage1.json grow as they end.

    Args:
        train: folders of shards with embeddings and text states.
        val: folders of held-out ones.
        out: folder of the tables.
        steps: of each variant.
        batch: pieces a step.
        rate: learning rate at its peak.
        dim: width of the network.
        depth: its blocks.
        draws: samples for each held-out caption.
        limit: pieces of each side, at most.
        only: numbers of the variants, from 0; by default all.
        device: auto, cpu, cuda …
    """
    place = choose_device(device)
    learn, held_out = (Pairs.read(folders, place, limit) for folders in (train, val))
    print(f"{len(learn.vectors)} pieces to learn from, {len(held_out.vectors)} held out", flush=True)
    rows: list[dict[str, Any]] = []
    written = ""
    for variant in VARIANTS if only is None else [VARIANTS[number] for number in only]:
        began = perf_counter()
        model = train_model(build(variant, learn, dim, depth), variant, learn, steps, batch, rate)
        seconds = perf_counter() - began
        for guidance in variant.guidance:
            figures = summary(judge(model, held_out, guidance, draws))
            rows.append({**asdict(variant), "guidance": guidance, "figures": figures, "seconds": seconds})
            if not math.isfinite(figures["r2"][0]):
                raise ValueError(f"{variant.name}: expected finite samples, got NaN")
        out.mkdir(parents=True, exist_ok=True)
        settings = {"steps": steps, "batch": batch, "rate": rate, "dim": dim, "depth": depth, "draws": draws}
        record = json.dumps({"settings": settings, "pieces": len(learn.vectors), "rows": rows}, indent=1)
        written = table(rows, len(held_out.vectors))
        write_whole({out / "stage1.md": written.encode(), out / "stage1.json": f"{record}\n".encode()})
        print(f"{variant.name}: {seconds:.0f} s", flush=True)
    print(written)


if __name__ == "__main__":
    try:
        call(ablate_stage1, sys.argv[1:], "ablate_stage1.py")
    except Exception as error:
        if not is_mistake(error):
            raise
        sys.exit(f"ablate_stage1: {explain(error)}")
