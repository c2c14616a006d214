"""The example of docs/testing.md, as it stands there."""

import pathlib
import re
import textwrap

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "testing.md"

_example = re.search(r"^    from support.*?(?=^\S)", DOCUMENT.read_text(encoding="utf-8"), re.M | re.S)[0]
exec(compile(textwrap.dedent(_example), str(DOCUMENT), "exec"))  # pylint: disable=exec-used
