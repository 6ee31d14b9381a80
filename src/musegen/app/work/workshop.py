"""What all pages and all users share: the model, the library, the ears, the corpus, and whose turn it is."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import normalize

from musegen.app.store.library import Heard, Library
from musegen.app.store.sweep import sweep
from musegen.app.view import pictures
from musegen.app.work.corpus import Corpus, read_corpus
from musegen.app.work.ears import Ears
from musegen.app.work.job import Job
from musegen.app.work.turns import Turns
from musegen.audio import encode_audio
from musegen.flow.lanes import Lane
from musegen.generation.baseline import Baseline
from musegen.generation.folder import FILE, find_pipeline, read_embedder
from musegen.pipeline import TextToMusic

GUESSES, GUESS_STEPS = 8, 8
"""Stage-1 samples whose mean stands for a prompt, and the steps of each: enough to rank by, and soon there."""

REMEMBERED = 256
PIECE_SECONDS = 60


class Workshop:
    """Everything that the pages' functions work with.

    Args:
        pipeline: the model.
        library: where clips are kept.
        ears: what compares audio.
        corpus: music to draw on the map beside one's own; None for none.
        baseline: stage 1's regression, to draw beside what stage 1 samples; None for none.
    """

    def __init__(
        self,
        pipeline: TextToMusic,
        library: Library,
        ears: Ears,
        corpus: Corpus | None = None,
        baseline: Baseline | None = None,
    ) -> None:
        self.pipeline, self.library, self.ears, self.corpus, self.baseline = pipeline, library, ears, corpus, baseline
        self.turns = Turns()
        self._means: OrderedDict[str, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    @staticmethod
    def open(
        library: Path,
        model: str | None = None,
        corpus: Path | None = None,
        embedder: str | None = None,
        device: str = "auto",
        dtype: str | None = None,
        lane: Lane = None,
        trust: Sequence[str] = (),
    ) -> Workshop:
        """Load all of it.

        Args:
            library: folder, made if missing.
            model: see `musegen.pipeline.TextToMusic.load`.
            corpus: folder of shards with embeddings.
            embedder: see `musegen.app.work.ears.Ears.choose`.
            device: see `musegen.pipeline.TextToMusic`.
            dtype: likewise.
            lane: likewise.
            trust: likewise.

        Raises:
            OSError: if a folder is missing or cannot be written to.
            ValueError: if one of them is not what it should be.
        """
        kept = Library(library)
        sweep(kept)
        pipeline = TextToMusic.load(model, device, dtype, lane, trust)
        folder = find_pipeline(model)
        declared = None if embedder else read_embedder(folder)
        try:
            ears = Ears.choose(embedder, declared, pipeline.device, trust)
        except ValueError as error:
            raise error if declared is None else ValueError(f"{folder / FILE}: {error}") from None
        dim = pipeline.chain.text2muq.model.network.shape[0]
        baseline = Baseline.load(folder, dim, pipeline.device, trust)
        found = None if corpus is None else read_corpus(corpus, ears.embedder)
        return Workshop(pipeline, kept, ears, found, baseline)

    @property
    def closeness_is(self) -> str:
        """What `reference` compares with, said truthfully."""
        if self.ears.reads_text:
            return f"cosine between the clip and the prompt, as {self.ears.space} hears and reads them"
        if self.ears.fits:
            return (
                f"cosine between the clip as {self.ears.space} hears it and the mean of {GUESSES} embeddings "
                "that stage 1 makes of the prompt"
            )
        return ""

    def reference(self, prompt: str, job: Job | None = None) -> Tensor | None:
        """The unit vector ``[dim]`` that clips of a prompt are compared with; None where there is no honest one.

        Args:
            prompt: what was asked for.
            job: for whose turn the model is used, and who is told how far it is.
        """
        if self.ears.reads_text:
            return self.ears.read(prompt)
        return normalize(self.mean(prompt, job or Job()), dim=0) if self.ears.fits else None

    def mean(self, prompt: str, job: Job) -> Tensor:
        """The mean of some stage-1 samples of a prompt, ``[dim]``, shorter than 1: the best single answer there is."""
        with self._lock:
            if prompt in self._means:
                self._means.move_to_end(prompt)
                return self._means[prompt]
        with self.turns.take(job.user):
            samples = self.pipeline.embed(prompt, range(GUESSES), job.told, stage1_steps=GUESS_STEPS)
        with self._lock:
            self._means[prompt] = samples.mean(0)
            while len(self._means) > REMEMBERED:
                self._means.popitem(last=False)
        return samples.mean(0)

    def hear(self, audio: Tensor, rate: int, told: Tensor | None = None, asked: Tensor | None = None) -> Heard:
        """Listen to audio, for the library.

        Args:
            audio: ``[channels, samples]``.
            rate: Hz.
            told: the embedding that it was generated from.
            asked: what it is compared with; see `reference`.
        """
        heard = self.ears.listen(audio, rate)
        estimate = self.ears.estimate(audio, rate)
        same = told is not None and told.shape == heard.shape and self.ears.fits
        return Heard(
            space=self.ears.space,
            told=told.numpy() if same and told is not None else None,
            heard=heard.numpy(),
            closeness=None if asked is None else float(heard @ asked),
            tempo=estimate.tempo,
            key=estimate.key,
            peaks=pictures.peaks(audio),
            mel=pictures.mel(audio, rate),
        )

    @property
    def plays_corpus(self) -> bool:
        """Whether pieces of the corpus can be heard: they have audio, or latents of the model's own codec."""
        corpus = self.corpus
        if corpus is None or corpus.folder is None:
            return False
        return "audio" in corpus.folder.fields or corpus.codec == self.pipeline.chain.vae_identity["weights"]

    def piece(self, number: int) -> bytes:
        """A piece of the corpus as a FLAC file, at most a minute of it where it has to be decoded from latents.

        Raises:
            ValueError: if there is no such piece, or it cannot be heard.
        """
        if self.corpus is None or not self.plays_corpus:
            raise ValueError("this piece cannot be heard: its shards hold no audio and no latents of the model's codec")
        sample = self.corpus.sample(number)
        if isinstance(sample.audio, bytes):
            return sample.audio
        if sample.latents is None:
            raise ValueError("this piece cannot be heard: it has no latents")
        vae = self.pipeline.chain.vae
        frames = vae.frames(PIECE_SECONDS * vae.sample_rate)
        latents = torch.from_numpy(sample.latents[:, :frames].astype("f4"))[None]
        length = latents.shape[-1] * vae.downsampling / vae.sample_rate
        with self.turns.take("the corpus"):
            audio = self.pipeline.decode(latents, min(length, float(sample.facts.get("seconds") or length)))[0]
        return encode_audio(audio, vae.sample_rate, "flac")

    def embedding(self, id: str) -> Tensor:
        """A clip's unit vector to generate from: the one it was made from or, of imported audio, what is heard in it.

        Raises:
            ValueError: if it has none in the model's space.
        """
        if not self.ears.fits:
            raise ValueError("this model does not say which embedder it was trained on; start the app with --embedder")
        for role in ("told", "heard"):
            vector = self.library.vectors(role, self.ears.space).get(id)
            if vector is not None:
                return torch.from_numpy(vector.copy())
        raise ValueError("this clip has no embedding in the space of this model")
