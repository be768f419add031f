"""``steadygrad mcp``: a server that answers a coding agent's questions about runs and reports. Needs no torch."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from steadygrad.cli import completing


@click.command(name="mcp", short_help="Answer a coding agent's questions about runs and reports.")
@click.argument("folder", default=".", shell_complete=completing.files)
def command(folder: str) -> None:
    """Serve the journals and saved reports below FOLDER (default: the current one) to an agent, by the Model Context Protocol.

    An agent's client starts this command and speaks to it on standard input and output; docs/agents.md shows the client's
    settings. The tools only read, and only below FOLDER: no model is loaded, no code runs, nothing is written there.

    Needs the extra mcp: pip install "steadygrad[mcp]"
    """
    from steadygrad.agents.files import Folder
    from steadygrad.agents.server import serve
    from steadygrad.errors import SettingsError

    served = Folder.at(Path(folder))
    if sys.stdin is None or sys.stdout is None:
        raise SettingsError("mcp speaks to a client on standard input and output, and one of them is closed")
    if sys.stdin.isatty():
        click.echo("this command answers an MCP client, which starts it by itself; Ctrl-C ends it", err=True)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # The thread that waits for a line cannot be interrupted otherwise, and there is nothing to put in order.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    serve(served)
