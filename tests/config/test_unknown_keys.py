"""Keys that no record knows, in configurations of many sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl.config import load_config
from etl.errors import ConfigError


def test_the_known_keys_of_a_place_are_listed_once(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    sources = [f"  - {{name: s{n}, base_url: 'http://h', zzz: 1, pagesize: 5}}\n" for n in range(200)]
    path.write_text("".join(["sources:\n", *sources]))
    with pytest.raises(ConfigError) as caught:
        load_config(path, {})
    lines = str(caught.value).splitlines()
    assert len(lines) == 401 and lines[0] == "400 problems in the configuration"
    assert sum("known here" in line for line in lines) == 1 and "known here" in lines[1] + lines[2]
    assert sum(line.endswith("unknown key; did you mean page_size?") for line in lines) == 200
    assert lines[-1].endswith("unknown key") or lines[-2].endswith("unknown key")
