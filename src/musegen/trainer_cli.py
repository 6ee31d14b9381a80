"""``musegen fit | validate | test | predict``: LightningCLI in subclass mode, with experiments made of parts."""

from __future__ import annotations

import logging
import re
import sys
import warnings
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import lightning.pytorch as L
import torch
import yaml
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.utilities import rank_zero_warn

from musegen.arguments import OneLineErrors
from musegen.callbacks.steps_bar import StepsBar
from musegen.stages.resume import Shapes, check_fits, read_shapes
from musegen.torchaudio_guard import import_torchaudio

UNHELPFUL = (
    "`isinstance(treespec, LeafSpec)` is deprecated",
    "The number of training batches",  # … is smaller than the logging interval, which goes on over epochs
)
"""Warnings of Lightning and torch that nobody can act upon: how they begin."""

UNHELPFUL_TALK = ("Tip: For seamless cloud", "TPU available: False")
"""The same, of what Lightning logs."""


class Parser(OneLineErrors, LightningArgumentParser):
    """LightningCLI's parser with one-line errors."""


@runtime_checkable
class Checked(Protocol):
    """A data module that can say beforehand what is wrong with its data."""

    def check(self, command: str, processes: int) -> None:
        """Raise ValueError or OSError for what a command could not read."""


class SaveFitConfig(SaveConfigCallback):
    """Keep the configuration beside a training run's logs; a prediction writes none."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Write ``config.yaml`` when fitting begins and there is a logger to write beside."""
        if stage == "fit" and trainer.logger is not None:
            super().setup(trainer, pl_module, stage)


class TrainerCLI(LightningCLI):
    """LightningCLI as musegen uses it: any LightningModule, any LightningDataModule, each by ``class_path``."""

    def __init__(self, arguments: list[str] | None = None, run: bool = True) -> None:
        self.command = (sys.argv[1:] if arguments is None else arguments)[:1]
        self.checkpoint: tuple[Path, Shapes] | None = None
        super().__init__(
            L.LightningModule,
            L.LightningDataModule,
            save_config_callback=SaveFitConfig,
            save_config_kwargs={"overwrite": True},
            seed_everything_default=0,
            parser_class=Parser,
            parser_kwargs={"prog": "musegen"},
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,  # a checkpoint carries the model's recipe itself
            args=arguments if arguments is None else expand_parts(arguments),
            run=run,
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """The command that was given: a parser for each of the others takes as long again as all the rest."""
        every = LightningCLI.subcommands()
        return {name: skipped for name, skipped in every.items() if name in self.command} or every

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Accept the ``parts:`` of an experiment file, which `expand_parts` has put in front of it."""
        parser.add_argument("--parts", type=list[str] | None, default=None, help="Files that this one builds upon.")

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        """Make the trainer; one that only predicts has nothing to log, and leaves no empty logs about."""
        if self.subcommand == "predict":
            kwargs["logger"] = False
        settings = self._get(self.config_init, "trainer")
        callbacks = settings.get("callbacks") or []
        callbacks = list(callbacks) if isinstance(callbacks, list) else [callbacks]
        wanted = settings.get("enable_progress_bar") is not False and not settings.get("barebones")
        if self.subcommand == "fit" and wanted and not any(isinstance(one, ProgressBar) for one in callbacks):
            kwargs["callbacks"] = [*callbacks, StepsBar()]
        return super().instantiate_trainer(**kwargs)

    def _parse_ckpt_path(self) -> None:
        """Look at the checkpoint, in place of reading hyperparameters from it: musegen's stages keep none there."""
        command = self.config.get("subcommand")
        named = self.config[command].get("ckpt_path") if command else None
        if named in ("best", "last") and command != "fit":
            raise ValueError(f"ckpt_path: expected a file, got {named!r}, which only the run that trains can find")
        if named is None or named in ("best", "last", "hpc") or ":" in str(named) or Path(named).is_dir():
            return
        self.checkpoint = Path(named), read_shapes(Path(named))

    def before_instantiate_classes(self) -> None:
        """Refuse a GPU that is not there before a large model is built."""
        accelerator = str(self._get(self.config, "trainer.accelerator")) if self.subcommand else ""
        found = torch.cuda.is_available() or (accelerator == "gpu" and torch.backends.mps.is_available())
        if accelerator in ("gpu", "cuda") and not found:
            raise ValueError(
                f"trainer.accelerator: {accelerator} was asked for, but torch {torch.__version__} sees no GPU here; "
                "configs/trainer/cpu.yaml, or --trainer.accelerator cpu --trainer.devices 1, does without"
            )

    def after_instantiate_classes(self) -> None:
        """Look at the data and the checkpoint, before loggers make folders."""
        if self.subcommand is None:
            return
        if self.checkpoint is not None:
            path, shapes = self.checkpoint
            check_fits(self.model, shapes, path)
        elif self._is_untrained():
            rank_zero_warn(
                "no --ckpt_path and no pretrained: the weights are random, and so will be what comes of them"
            )
        if isinstance(self.datamodule, Checked):
            self.datamodule.check(self.subcommand, self.trainer.world_size)

    def _is_untrained(self) -> bool:
        named = self._get(self.config, "ckpt_path")
        return self.subcommand != "fit" and named is None and getattr(self.model, "pretrained", None) is None


def expand_parts(arguments: list[str]) -> list[str]:
    """Put in front of each ``-c FILE`` the files that its top-level ``parts:`` names, relative to itself.

    Later files win, so an experiment overrides its parts.
    """
    expanded: list[str] = []
    arguments = list(arguments)
    while arguments:
        argument = arguments.pop(0)
        flag, equals, value = argument.partition("=")
        if flag not in ("-c", "--config"):
            expanded.append(argument)
            continue
        if not equals:
            if not arguments:
                raise ValueError(f"{flag} expects the path of a YAML file")
            value = arguments.pop(0)
        for part in _with_parts(Path(value)):
            expanded += ["-c", str(part)]
    return expanded


def _with_parts(file: Path, above: tuple[Path, ...] = ()) -> list[Path]:
    if file.resolve() in above:
        raise ValueError(f"{file} is a part of itself")
    if not file.is_file():
        raise ValueError(f"expected a YAML file after -c, got {file}, which does not exist")
    try:
        content: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = "" if where is None else f", line {where.line + 1}"
        raise ValueError(f"{file}{line}: expected YAML: {getattr(error, 'problem', None) or error}") from None
    if content is not None and not isinstance(content, dict):
        raise ValueError(f"{file}: expected keys such as trainer, model and data, got {type(content).__name__}")
    parts = (content or {}).get("parts") or []
    if not isinstance(parts, list) or not all(isinstance(name, str) for name in parts):
        raise ValueError(f"{file}: parts: expected a list of paths, got {parts!r}")
    return [path for name in parts for path in _with_parts(file.parent / name, (*above, file.resolve()))] + [file]


def _is_helpful(record: logging.LogRecord) -> bool:
    return not any(talk in record.getMessage() for talk in UNHELPFUL_TALK)


def run(arguments: list[str]) -> None:
    """Run one of LightningCLI's commands.

    Raises:
        ValueError: for a command without any argument.
    """
    if len(arguments) == 1:
        example = f"musegen {arguments[0]} -c configs/experiment/small_text2muq.yaml"
        raise ValueError(f"expected a configuration, such as {example}, got none")
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_helpful)
    for message in UNHELPFUL:
        warnings.filterwarnings("ignore", re.escape(message))
    import_torchaudio()
    sys.argv[1:] = expand_parts(arguments)  # what Lightning starts its other processes with
    TrainerCLI()
