"""Prove a folder of shards whole, against another machine's and beside its other splits; exit status 1 if it is not."""

from __future__ import annotations

from pathlib import Path

from musegen.data.compare import compare_folders, leaks
from musegen.data.verify import Report, verify_folder

MOST = 20
"""How many leaks are shown one by one."""


def verify(folder: Path, against: Path | None = None, splits: list[Path] | None = None, tolerance: float = 0.0) -> None:
    """Look at every byte of a folder of shards, and say what is wrong with it: exit status 1 if anything is.

    Checksums, tables, numbers of samples, duplicate keys, shapes, NaN, lengths of vectors and of latents, audio that
    does not decode, and an index that says something else. What is damaged is named.

    Args:
        folder: of shards.
        against: another folder of the same samples, such as another machine's or another library's; their largest
            differences are printed, and samples that only one of them has.
        splits: folders that are to have nothing in common with this one or with each other: no recording or artist
            (``group``), no key, no audio, latents or embedding.
        tolerance: largest difference of any number from ``against`` that passes.
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance: expected 0 or more, got {tolerance}")
    folders = [folder, *(splits or ())]
    if len({one.resolve() for one in folders}) < len(folders):
        raise ValueError(f"splits: expected different folders, got {', '.join(map(str, folders))}")
    reports = [_looked_at(one) for one in folders]
    wrong = any(report.problems for report in reports)
    for report in reports:
        print(report)
    if against is not None and not wrong:
        comparison = compare_folders(folder, against)
        wrong = not comparison.agrees(tolerance)
        print(f"against {against}:\n{comparison}")
    if splits and not any(report.problems for report in reports):
        found = leaks(folders)
        wrong = wrong or bool(found)
        print(f"{len(folders)} splits: {f'{len(found)} leaks' if found else 'nothing leaks'}")
        for line in found[:MOST]:
            print(f"  wrong: {line}")
    if wrong:
        raise SystemExit(1)


def _looked_at(folder: Path) -> Report:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"reading {folder}", total=None)
        return verify_folder(folder, lambda done, total: bar.update(task, completed=done, total=total))
