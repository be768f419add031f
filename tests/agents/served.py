"""The real command as an MCP client starts it: ``steadygrad mcp FOLDER``, asked over its standard input and output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = ("-m", "steadygrad", "mcp")


@dataclass(frozen=True)
class Answer:
    """What a tool gave: its text, and whether that is an error."""

    text: str
    failed: bool

    @property
    def body(self) -> Any:
        """The text as JSON."""
        return json.loads(self.text)


def ask(folder: Path, *calls: tuple[str, dict[str, Any]], command: Sequence[str] = COMMAND) -> list[Answer]:
    """The answers of one server to these calls, one after the other."""
    answers: list[Answer] = []

    async def speak(session: Any) -> None:
        for name, arguments in calls:
            result = await session.call_tool(name, arguments)
            (content,) = result.content
            assert result.structured_content is None, "the answer would count twice"
            answers.append(Answer(content.text, result.is_error))

    _with_session(folder, speak, command)
    return answers


def tools(folder: Path) -> list[Any]:
    """The tools that the server offers."""
    found: list[Any] = []

    async def speak(session: Any) -> None:
        found.extend((await session.list_tools()).tools)

    _with_session(folder, speak, COMMAND)
    return found


def _with_session(folder: Path, speak: Any, command: Sequence[str]) -> None:
    import anyio
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    started = StdioServerParameters(command=sys.executable, args=[*command, str(folder)], env=dict(os.environ))

    async def run() -> None:
        async with stdio_client(started) as streams, ClientSession(*streams) as session:
            await session.initialize()
            await speak(session)

    anyio.run(run)
