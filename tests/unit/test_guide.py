# Copyright (c) 2026, llmops.platform contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A page becomes the script of what its reader does: tests.support.guide."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.guide import blocks, script

PAGE = """\
# A page

```console
$ mkdir my-site && cd my-site
$ printf '%s ' one \\
    two
one two
```

```yaml
# staging/site.yml
---
host: db.example.com
```

```yaml
# A comment, and no path
shown: only
```

```text
false
```

```console
$ cat staging/site.yml
```
"""


def write(folder: Path, text: str = PAGE) -> Path:
    path = folder / "page.md"
    path.write_text(text, encoding="utf-8")
    return path


def play(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", text], cwd=folder, check=False, capture_output=True, text=True)


def test_blocks_are_played_saved_or_only_read(tmp_path: Path) -> None:
    page = blocks(write(tmp_path), {})
    assert [block.kind for block in page] == ["played", "saved", "yaml", "text", "played"]
    assert [block.line for block in page][:2] == [3, 10]
    assert page[0].commands == ["mkdir my-site && cd my-site", "printf '%s ' one \\\n    two"]


def test_script_does_what_the_reader_does_with_values_of_their_own(tmp_path: Path) -> None:
    page = blocks(write(tmp_path), {"db.example.com": "10.0.0.1", "staging": "first", "example": "no"})
    finished = play(tmp_path, script(page, {"first/site.yml": "echo AFTER"}))
    assert finished.returncode == 0, finished.stderr
    assert "one two " in finished.stdout
    assert "AFTER" in finished.stdout
    assert finished.stdout.endswith("# first/site.yml\n---\nhost: 10.0.0.1\nTHE-END\n")


def test_script_stops_at_a_failure(tmp_path: Path) -> None:
    page = blocks(write(tmp_path, "```console\n$ false | true\n$ echo later\n```\n"), {})
    finished = play(tmp_path, script(page, {}))
    assert finished.returncode != 0
    assert "later" not in finished.stdout


def test_value_that_the_page_no_longer_has_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no longer speaks of"):
        blocks(write(tmp_path), {"old.example.com": "10.0.0.1"})
