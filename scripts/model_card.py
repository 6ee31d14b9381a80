"""The model card of a pipeline: README.md and pictures in its folder, every figure from the file that has it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import card_origins as origins
import yaml
from card_figures import KNOWN, UNSEEN, aims, codec, guidance, judged, missing, probes

from musegen.arguments import call
from musegen.files import write_whole
from musegen.generation.folder import find_pipeline, read_pipeline
from musegen.mistakes import explain, is_mistake

FACTS = ("hardware", "data", "training", "shortfalls", "remarks")

INTRODUCTION = """\
A small member of the family, so that `musegen generate` makes music on a fresh machine, without a hub, without a GPU.
This card is written by `scripts/model_card.py` from the files that training and `scripts/evaluate_default.sh` left; no
figure in it is typed by hand.
"""

FREE = """\
**Why renders are free to train on.** Songs are composed by `musegen render`: chord progressions, melodies and ensembles
are musegen's own. MMA (GPL-2) and its style files are the program that plays them; what it writes is the output of a
program, and carries no statement of its own. The soundfont's licence (MIT-style) asks nothing of music that is played
through it. Captions are true by construction. So the songs are under CC0-1.0.
Recordings, where any were used, are only those whose licence allows it (CC-BY, public domain, Expat), named under
*Attributions*; nothing under a share-alike licence went into these weights.
"""

LIMITS = """\
- Timbres are those of a General MIDI soundfont; there are no voices, and no production as on a record.
- Captions say what songs' facts can say: genre, tempo, key, metre, instruments, mood. Other words are guessed at.
- Judges err: a figure says something only where its ceiling lies well above chance. No listening test was done.
- Fréchet distances depend on embedder, number of windows and set, and compare only within this card.
"""

REBUILD = """\
```bash
scripts/train_default.sh render recordings vae vae_adversarial joint cache ablation text2muq regression stable_audio_muq
scripts/train_default.sh assemble                              # see docs/training.md for longer chains
MODEL=out/default/model TRAIN=out/default/audio/train-0 RECORDINGS=out/default/recordings/shards \\
  scripts/evaluate_default.sh
.venv/bin/python scripts/model_card.py --model out/default/model --evaluation out/evaluation \\
  --facts scripts/model_card.yaml --curves out/default/curves --data out/default/audio/train-0 \\
  --ablation out/default/ablation
```
"""


def model_card(
    model: str,
    evaluation: Path,
    facts: Path,
    curves: Path = Path("curves"),
    data: list[Path] | None = None,
    ablation: Path = Path("ablation"),
    attributions: Path | None = None,
    out: Path | None = None,
) -> Path:
    """Write README.md and pictures/ of a pipeline's folder.

    Args:
        model: folder of a pipeline, or the name of a shipped one.
        evaluation: what evaluate_default.sh wrote.
        facts: a YAML like scripts/model_card.yaml: hardware, data, training, shortfalls, remarks.
        curves: CSVs that curves.py wrote.
        data: folders of shards that it was trained on, for their indexes.
        ablation: what ablate_stage1.py wrote.
        attributions: ATTRIBUTION.md of the recordings that it was trained on.
        out: folder of the card; by default the model's own.

    Returns:
        The card.
    """
    if not evaluation.is_dir():
        raise FileNotFoundError(2, "expected the folder of evaluate_default.sh, got none", str(evaluation))
    folder = find_pipeline(model)
    out = out or folder
    known = read_facts(facts)
    pictures = out / "pictures"
    sections = {
        "Parts": origins.parts(folder) + sampling(folder),
        "Aims": aims(evaluation) + shortfalls(known),
        "Held-out songs of known grooves": judged(evaluation, KNOWN, "agreement with captions on known grooves"),
        "Songs of grooves never seen": judged(evaluation, UNSEEN, "agreement with captions on grooves never seen"),
        "Fréchet distance": distances(evaluation),
        "Flow against regression": judged(
            evaluation, "regression/evaluation.json", "the regression baseline", ("flow", "regression")
        ),
        "Two stages against one": judged(
            evaluation, "one_stage/evaluation.json", "text straight into the transformer", ("two stages", "one stage")
        ),
        "Codec": codec(evaluation),
        "What the joint embedding tells": "Share that linear maps read right, fitted on training songs.\n\n"
        + probes(evaluation),
        "Stage 1 by guidance": guidance(evaluation),
        "Stage 1's choices": origins.ablation(ablation),
        "Notes in key": judged(evaluation, "notes/evaluation.json", "basic-pitch's notes against the caption's key"),
        "To look at": look(evaluation, pictures),
        "Data": learned_from(known, data or []) + "\n" + origins.tools() + "\n" + FREE,
        "Attributions": attributed(attributions),
        "Training": training(known) + "\n" + origins.curves(curves, pictures / "curves.png"),
        "Limits": LIMITS + remarks(known),
        "How to rebuild it": REBUILD,
    }
    text = f"# The model in the box\n\n{INTRODUCTION}\n"
    text += "\n".join(f"## {title}\n\n{content.rstrip()}\n" for title, content in sections.items())
    write_whole({out / "README.md": text.encode()})
    print(out / "README.md")
    return out / "README.md"


def read_facts(path: Path) -> dict[str, Any]:
    """The YAML of what no file knows.

    Raises:
        ValueError: for a key that means nothing here.
    """
    said = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    if not isinstance(said, dict) or set(said) - set(FACTS):
        got = ", ".join(sorted(map(str, said))) if isinstance(said, dict) else type(said).__name__
        raise ValueError(f"{path}: expected {', '.join(FACTS)}, got {got}")
    return said


def sampling(folder: Path) -> str:
    """How the stages are sampled by default."""
    said, lines = read_pipeline(folder), []
    for stage in ("text2muq", "stable_audio_muq"):
        chosen = ", ".join(f"{name} {value}" for name, value in said[stage].items())
        lines.append(f"- `{stage}` is sampled by {chosen}.")
    return "\n".join(["", *lines, ""])


def distances(evaluation: Path) -> str:
    """Generated music and given-back real B to real A, with real B to real A as their ceiling."""
    names = ("generated to real A", "given-back real B to real A")
    table = judged(evaluation, "distances/evaluation.json", "the Fréchet distances", names)
    said = (
        "A and B have no groove, no album and no artist in common; the ceiling is real B to real A, chance white noise."
    )
    return f"{said}\n\n{table}"


def look(evaluation: Path, pictures: Path) -> str:
    """The page of spectrograms."""
    page = evaluation / "pictures" / "spectrograms.png"
    if not page.is_file():
        return missing(page, "spectrograms of real, given-back and generated clips")
    pictures.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(page, pictures / page.name)
    return f"![Mel spectrograms: real, given back by the codec, generated]({pictures.name}/{page.name})\n"


def learned_from(facts: Mapping[str, Any], folders: Sequence[Path]) -> str:
    """The shards' indexes where they are there, else what is said of them."""
    said = "".join(f"- {sentence}\n" for sentence in facts.get("data") or [])
    return said + origins.data(folders) if folders or not said else said


def training(facts: Mapping[str, Any]) -> str:
    """How long each part was trained, and on what."""
    hardware, runs = facts.get("hardware"), facts.get("training") or {}
    lines = [f"On {hardware}.\n" if hardware else "**Missing:** what it was trained on.\n"]
    lines += ["| part | minutes | |", "|---|---|---|"]
    for part, said in runs.items():
        minutes = said.get("minutes")
        lines.append(f"| {part} | {'**missing**' if minutes is None else f'{minutes:g}'} | {said.get('note') or ''} |")
    known = [said["minutes"] for said in runs.values() if said.get("minutes") is not None]
    lines.append(f"| all | {sum(known):g} | |" if known and len(known) == len(runs) else "| all | **missing** | |")
    return "\n".join([*lines, ""])


def shortfalls(facts: Mapping[str, Any]) -> str:
    """Why a figure falls short, as a list."""
    return "".join(f"\n- {sentence}" for sentence in facts.get("shortfalls") or []) + "\n"


def remarks(facts: Mapping[str, Any]) -> str:
    """Further sentences, as a list."""
    return "".join(f"- {sentence}\n" for sentence in facts.get("remarks") or [])


def attributed(file: Path | None) -> str:
    """The attribution file of the recordings, a heading lower."""
    if file is None:
        return "No recording was named to this card: only renders.\n"
    lines = file.read_text(encoding="utf-8").splitlines()
    return "\n".join(f"##{line}" if line.startswith("#") else line for line in lines) + "\n"


if __name__ == "__main__":
    try:
        call(model_card, sys.argv[1:], "model_card.py")
    except Exception as error:
        if not is_mistake(error):
            raise
        sys.exit(f"model_card: {explain(error)}")
