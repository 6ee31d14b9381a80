"""``musegen fit | validate | test | predict``: LightningCLI in subclass mode, with experiments made of parts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import yaml
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback

from musegen.arguments import OneLineErrors
from musegen.torchaudio_guard import import_torchaudio


class Parser(OneLineErrors, LightningArgumentParser):
    """LightningCLI's parser with one-line errors."""


class SaveFitConfig(SaveConfigCallback):
    """Keep the configuration beside a training run's logs; a prediction writes none."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Write ``config.yaml`` when fitting begins and there is a logger to write beside."""
        if stage == "fit" and trainer.logger is not None:
            super().setup(trainer, pl_module, stage)


class TrainerCLI(LightningCLI):
    """LightningCLI as musegen uses it: any LightningModule, any LightningDataModule, each by ``class_path``."""

    def __init__(self, arguments: list[str] | None = None, run: bool = True) -> None:
        super().__init__(
            L.LightningModule,
            L.LightningDataModule,
            save_config_callback=SaveFitConfig,
            save_config_kwargs={"overwrite": True},
            seed_everything_default=0,
            parser_class=Parser,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            args=arguments if arguments is None else expand_parts(arguments),
            run=run,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Accept the ``parts:`` of an experiment file, which `expand_parts` has put in front of it."""
        parser.add_argument("--parts", type=list[str] | None, default=None, help="Files that this one builds upon.")

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        """Make the trainer; one that only predicts has nothing to log, and leaves no empty logs about."""
        return super().instantiate_trainer(**kwargs, **({"logger": False} if self.subcommand == "predict" else {}))


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
    except yaml.YAMLError as error:
        raise ValueError(f"{file} is not YAML: {error}") from None
    parts = content.get("parts") if isinstance(content, dict) else None
    names = [file.parent / name for name in parts or []]
    return [path for name in names for path in _with_parts(name, (*above, file.resolve()))] + [file]


def run(arguments: list[str]) -> None:
    """Run one of LightningCLI's commands."""
    import_torchaudio()
    sys.argv[1:] = expand_parts(arguments)  # what Lightning starts its other processes with
    TrainerCLI()
