"""From a report to what is printed or written, and the exit code: the end of ``check`` and of ``run --only-check``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from steadygrad.cli.formats import require_format


@dataclass(frozen=True)
class Delivery:
    """Where and how a report goes. ``settings`` are those of the check: format, fail level, baseline."""

    settings: Any
    output_file: str | None = None
    quiet: bool = False
    verbose: bool = False
    color: Any = "auto"
    update_baseline: bool = False

    def require(self) -> None:
        """Refuse before the check what could not be delivered after it. Raises ``SettingsError``."""
        from steadygrad.errors import SettingsError
        from steadygrad.report import FORMATS
        from steadygrad.report.baseline import read_baseline

        if self.settings.baseline is None and self.update_baseline:
            raise SettingsError(
                "--update-baseline needs a file: give --baseline FILE, or set baseline in [tool.steadygrad]"
            )
        if self.settings.baseline is not None and not self.update_baseline:
            read_baseline(Path(self.settings.baseline))
        require_format(self.settings.output_format, FORMATS)
        if self.output_file is not None and not Path(self.output_file).resolve().parent.is_dir():
            raise SettingsError(f"cannot write {self.output_file}: its folder does not exist; make it first")

    def __call__(self, report: Any) -> int:
        """Print or write the report, and give the exit code: 1 where something is found at the fail level."""
        from steadygrad.report import render, write_atomically
        from steadygrad.report.baseline import read_baseline, update_baseline, without_known
        from steadygrad.report.concise import findings

        settings, shown = self.settings, report
        if settings.baseline:
            known_at = Path(settings.baseline)
            if self.update_baseline:
                known, changed = update_baseline(known_at, report)
                click.echo(changed, err=True)
            else:
                known = read_baseline(known_at)
            shown = without_known(report, known, known_at)
        failed = settings.fail_on != "never" and bool(shown.at_least(settings.fail_on))
        if not (self.quiet and not shown.findings):
            if self.quiet and settings.output_format in ("text", "concise"):
                text = "\n".join(findings(shown))
            else:
                text = render(
                    shown,
                    settings.output_format,
                    color="never" if self.output_file is not None else self.color,
                    verbose=self.verbose,
                    fail_on=settings.fail_on,
                )
            if self.output_file is not None:
                write_atomically(self.output_file, text)
            elif text:
                click.echo(text, color=True)
        return 1 if failed else 0
