"""What a model card says of weights, data and training, from the files themselves and from the package manager."""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from card_figures import missing, read, row
from safetensors import safe_open

from musegen.checkpoints import WEIGHTS, read_config
from musegen.data.rendering.library import find_mma
from musegen.data.rendering.soundfont import find_soundfont
from musegen.data.shard_index import read_index
from musegen.files import write_whole

MEBI = 2**20
DRAWN = ("train/loss", "val/loss", "val/floor", "val/loss_blind")


def parts(folder: Path) -> str:
    """The table of a pipeline's model folders: class, parameters, size and hash of each."""
    lines = [row(["part", "class", "parameters", "MiB", "numbers", "sha256 of the weights", "licences"])]
    lines.append(row(["---"] * 7))
    count, size = 0, 0
    for part in sorted(path.parent for path in folder.glob(f"*/{WEIGHTS}")):
        config, file = read_config(part), part / WEIGHTS
        with safe_open(file, "pt") as tensors:
            slices = [tensors.get_slice(name) for name in tensors.keys()]  # noqa: SIM118
            own = sum(_product(one.get_shape()) for one in slices)
            types = sorted({one.get_dtype() for one in slices})
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        count, size = count + own, size + file.stat().st_size
        cells = [part.name, config["model"]["class_path"].rpartition(".")[2], f"{own:,}"]
        cells += [f"{file.stat().st_size / MEBI:.2f}", "/".join(types), f"`{digest}`", ", ".join(config["licences"])]
        lines.append(row(cells))
    if not count:
        raise ValueError(f"{folder}: expected folders with {WEIGHTS}, got none")
    return "\n".join([*lines, row(["all", "", f"{count:,}", f"{size / MEBI:.2f}", "", "", ""]), ""])


def _product(shape: Sequence[int]) -> int:
    result = 1
    for one in shape:
        result *= one
    return result


def data(folders: Sequence[Path]) -> str:
    """The table of the shards that the model learned from, by their indexes."""
    if not folders:
        return "**Missing:** the indexes of the data that it was trained on.\n"
    lines = [row(["data", "pieces", "made by", "licences", "shards as a hash"]), row(["---"] * 5)]
    for folder in folders:
        index = read_index(folder)
        source = index.made_by.get("source", index.made_by)
        made = source if isinstance(source, str) else _recipe(source)
        digest = hashlib.sha256("".join(shard.sha256 for shard in index.shards).encode()).hexdigest()
        samples = sum(shard.samples for shard in index.shards)
        lines.append(row([folder.name, f"{samples:,}", made, ", ".join(index.licences), f"`{digest[:16]}`"]))
    return "\n".join([*lines, ""])


def _recipe(source: Mapping[str, Any]) -> str:
    arguments = source.get("init_args")
    said = arguments if isinstance(arguments, Mapping) else {}
    words = ", ".join(f"{name} {value}" for name, value in said.items() if isinstance(value, str | int | float))
    return f"{str(source.get('class_path', 'unknown')).rpartition('.')[2]} ({words})"


def tools() -> str:
    """Version and checksum of what plays the songs: MMA with its styles, and the soundfont."""
    lines = [row(["", "Debian package", "version", "sha256"]), row(["---"] * 4)]
    for title, find, digest in (("MMA", find_mma, library_digest), ("soundfont", find_soundfont, file_digest)):
        try:
            place = Path(find(None))
        except ValueError:
            lines.append(row([title, "**missing** on the machine that wrote this card", "", ""]))
            continue
        package, version = installed(place)
        lines.append(row([f"{title}, `{place.name}`", package, version, digest(place)]))
    return "\n".join([*lines, ""])


def library_digest(mma: Path) -> str:
    """Of all style files one after the other, as `Rendered` has it in an index."""
    library = hashlib.sha256()
    for file in sorted((mma / "lib" / "stdlib").glob("*.mma")):
        library.update(file.read_bytes())
    return f"`{library.hexdigest()}` (of `lib/stdlib`)"


def file_digest(file: Path) -> str:
    """Of one file."""
    return f"`{hashlib.sha256(file.read_bytes()).hexdigest()}`"


def installed(place: Path) -> tuple[str, str]:
    """Debian's package that a file belongs to, and its version; two question marks where it belongs to none."""
    found = _said("dpkg-query", "-S", str(place))
    names = [name.strip() for name in found.partition(": ")[0].split(",")]
    package = place.name if place.name in names else names[0]
    return package or "?", _said("dpkg-query", "-W", "-f", "${Version}", package) or "?"


def _said(*command: str) -> str:
    """What a command prints; nothing where it fails or there is none."""
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def curves(folder: Path, picture: Path) -> str:
    """A plot of every run's losses, and where each ended.

    Args:
        folder: of the CSVs that scripts/curves.py writes.
        picture: to write.
    """
    files = sorted(folder.glob("*.csv")) if folder.is_dir() else []
    if not files:
        return missing(folder / "*.csv", "the curves of the training runs")
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(3, len(files))
    rows = -(-len(files) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(4.6 * columns, 3 * rows), squeeze=False)
    lines = [row(["run", "steps", "held-out scalars at its end"]), row(["---"] * 3)]
    for place in axes.flat[len(files) :]:
        place.axis("off")
    for place, file in zip(axes.flat, files, strict=False):
        scalars = read_curve(file)
        for name in [name for name in scalars if name in DRAWN]:
            place.plot(*zip(*scalars[name], strict=True), label=name, linewidth=1)
        place.set_title(file.stem, fontsize=9)
        place.tick_params(labelsize=7)
        place.grid(alpha=0.3)
        if place.get_lines():
            place.legend(fontsize=6)
        ends = ", ".join(
            f"{name.removeprefix('val/')} {scalars[name][-1][1]:.3g}" for name in scalars if "val/" in name
        )
        lines.append(row([file.stem, f"{max(points[-1][0] for points in scalars.values()) + 1:,}", ends]))
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    pyplot.close(figure)
    write_whole({picture: buffer.getvalue()})
    return "\n".join([f"![Losses by step]({picture.parent.name}/{picture.name})\n", *lines, ""])


def read_curve(file: Path) -> dict[str, list[tuple[int, float]]]:
    """Steps and values of each scalar of a CSV.

    Raises:
        ValueError: naming the file, if it is none of scripts/curves.py's.
    """
    found: dict[str, list[tuple[int, float]]] = {}
    try:
        with open(file, newline="") as lines:
            for line in csv.DictReader(lines):
                found.setdefault(line["name"], []).append((int(line["step"]), float(line["value"])))
    except (KeyError, ValueError) as error:
        raise ValueError(f"{file}: expected name, step, value, as scripts/curves.py writes: {error}") from None
    if not found:
        raise ValueError(f"{file}: expected scalars, got none")
    return found


def ablation(folder: Path) -> str:
    """The table that scripts/ablate_stage1.py wrote."""
    path = folder / "stage1.md"
    said = read(folder / "stage1.json")
    if said is None or not path.is_file():
        return missing(folder / "stage1.json", "the choices of stage 1 compared")
    settings = ", ".join(f"{name} {value}" for name, value in said["settings"].items())
    return f"{path.read_text(encoding='utf-8').strip()}\n\n{said['pieces']:,} pieces to learn from; {settings}.\n"
