"""Open MUSE, the web app: make music, look around between clips, keep what you like."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

# The types of this file are the standard library's, so that its --help need not import torch.


def app(
    host: str = "127.0.0.1",
    port: int = 7860,
    library: Path = Path("muse-library"),
    model: str | None = None,
    corpus: Path | None = None,
    embedder: str | None = None,
    public: bool = False,
    share: bool = False,
    device: str = "auto",
    dtype: Literal["float32", "bfloat16", "float16"] | None = None,
    lane: int | Literal["auto"] | None = None,
    trust_plugins: list[str] | str | None = None,
) -> None:
    """Open MUSE, the web app, until Ctrl-C.

    Args:
        host: address to listen at; by default this machine alone reaches it.
        port: 0 for any that is free.
        library: folder for clips; made if missing.
        model: folder of a pipeline, or the name of one that ships with the package.
        corpus: folder of shards with embeddings, to draw on the Lab's map.
        embedder: what the model was trained on, where it does not say: a short name, class path, or recipe in JSON.
        public: allow an address that others reach.
        share: open a public tunnel through Gradio's servers; needs public, too.
        device: auto, cpu, cuda, cuda:1 …
        dtype: what the networks compute in; by default bfloat16 on a GPU, float32 on a CPU.
        lane: items that a network takes in one execution; auto for the fastest width.
        trust_plugins: packages, besides musegen, whose classes a model folder may name. Their code runs.
    """
    import importlib.util

    missing = [name for name in ("gradio", "plotly", "umap") if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(f"the app needs {', '.join(missing)}: pip install 'musegen[app]'")
    from musegen.app.server import check_bind, check_port, launch
    from musegen.app.work.workshop import Workshop

    check_bind(host, public, share)
    check_port(host, port)
    trust = [trust_plugins] if isinstance(trust_plugins, str) else trust_plugins or []
    workshop = Workshop.open(library, model, corpus, embedder, device, dtype, lane, trust)
    blocks, address = launch(workshop, host, port, public, share)
    if blocks.share_url:
        print(f"Others reach MUSE at {blocks.share_url}")
    print(f"MUSE is at {address}\nCtrl-C stops it", flush=True)
    blocks.block_thread()
