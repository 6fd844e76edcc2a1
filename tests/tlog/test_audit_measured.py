"""The measurement of a full audit audits what it says, and the log that it writes is an honest one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import audit
from charter.tlog import verify


def test_a_log_written_for_measuring_is_proved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = audit.write(tmp_path, 600)
    assert made["leaves"] == 1 + 1200 + 24 + 12
    arguments = ["--vkey", made["vkey"], "--base", str(tmp_path), "--old", str(tmp_path / "kept")]
    assert verify.main([*arguments, "--json"]) == verify.PROVED
    told = json.loads(capsys.readouterr().out)
    assert told["counts"]["live"] == made["records"] == 576
    assert any("of kept (512 leaves)" in one for one in told["proved"])
    figures = audit.audit(tmp_path, made["vkey"], expected=576)
    assert 0 < figures["seconds"] < 60
    assert 10e6 < figures["peak_bytes"] < 300e6
    rows = audit.lines({"1000000": made | figures, "600": made | figures}, {})
    assert [row.is_met for row in rows] == [None, None, None, True, None, True]
