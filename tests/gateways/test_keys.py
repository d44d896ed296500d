"""Which files with keys a data directory lacks."""

from __future__ import annotations

from pathlib import Path

from sigma_app.gateways.keys import missing_key_files
from tests.conftest import settings_for

HOSTED = {
    "VITE_SUPABASE_URL": "https://x.supabase.co",
    "VITE_SUPABASE_ANON_KEY": "anon",
    "SUPABASE_SERVICE_ROLE_KEY": "service",
}


def test_they_are_those_that_a_start_would_make(tmp_path: Path):
    with_password = {"DATABASE_URL": "postgresql://owner:s3cret@db.example.com/sigma"}
    assert missing_key_files(settings_for(tmp_path)) == ["supabase.json", "links.key"]
    assert missing_key_files(settings_for(tmp_path, **with_password)) == ["supabase.json"]
    assert missing_key_files(settings_for(tmp_path, **with_password, **HOSTED)) == []
    (tmp_path / "supabase.json").touch()
    assert missing_key_files(settings_for(tmp_path)) == ["links.key"]
