"""Safe fixes on source files of many shapes: the written file is healthy, trains, and differs where it had to alone."""

from __future__ import annotations

import io
import re
import tokenize

import pytest

from steadygrad.record import Verdict
from tests.families import always
from tests.fix.files import FILES
from tests.fix.workshop import Workshop, difference, inserted_only, learned


@pytest.mark.parametrize("name", always(FILES, "functional"))
def test_the_written_file_is_healthy_trains_and_is_left_alone(name: str, workshop: Workshop) -> None:
    files = FILES[name]
    workshop.lay_out(files)
    # A batch that need not be found out by trying: half of the time.
    given = {} if b"def setup" in files["net.py"] else {"inputs": ["32,16"]}

    found = workshop.fixed(only="folded-initialisation", **given)
    assert found.safety == "safe"
    assert found.cured.taken is not None
    workshop.write(found)

    written = {file: data for file, data in workshop.bytes().items() if file in files}
    changed = [file for file in files if written[file] != files[file]]
    assert changed == [source.path.name for source in found.sources]
    for file in changed:
        only_what_had_to(files[file], written[file])

    again = workshop.fix(only="folded-initialisation", **given)
    assert not again.found
    assert again.cured.before.verdict is Verdict.HEALTHY
    assert {file: data for file, data in workshop.bytes().items() if file in files} == written

    assert set(workshop.verdicts_elsewhere(found, **given)) <= {Verdict.HEALTHY}

    start, end = learned(workshop.subject(**given), rate=found.cured.taken.rate)
    assert end < 0.8 * start


def only_what_had_to(old: bytes, new: bytes) -> None:
    """Lines were added, and the one that constructs the model has something put in; the rest is the same to the byte."""
    found = difference(old, new)
    assert len(found.removed) <= 2
    for line in found.removed:
        assert any(inserted_only(without_rate(line), without_rate(other)) for other in found.added)
    assert inserted_only(without_rate(old), without_rate(new))
    assert new.startswith(b"\xef\xbb\xbf") == old.startswith(b"\xef\xbb\xbf")
    assert line_ends(new) == line_ends(old)
    assert indents(found.added) <= (indents(old.splitlines()) | {b""} if indented(old) else {b"", b" "})
    encodings = [tokenize.detect_encoding(io.BytesIO(data).readline)[0] for data in (old, new)]
    assert encodings[0] == encodings[1]
    new.decode(encodings[1])


def without_rate(data: bytes) -> bytes:
    return re.sub(rb"lr=[-0-9.e]+", b"lr=", data)


def line_ends(data: bytes) -> set[bytes]:
    return {line[len(line.rstrip(b"\r\n")) :] for line in data.splitlines(keepends=True)[:-1]}


def indented(data: bytes) -> bool:
    return indents(data.splitlines()) != {b""}


def indents(lines: list[bytes]) -> set[bytes]:
    """The characters that lines are indented with."""
    return {bytes(sorted(set(line[: len(line) - len(line.lstrip(b" \t"))]))) for line in lines}
