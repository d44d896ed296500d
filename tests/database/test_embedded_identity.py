"""As root the embedded cluster lies apart from the data directory; which one belongs to which."""

from __future__ import annotations

import os
import shutil
import stat

import psycopg
import pytest

from sigma_app.embedded import postgres, postgres_layout
from sigma_app.embedded.postgres_layout import ClusterError
from tests.conftest import settings_for
from tests.database.embedded import ROOT, checkout, end_and_remove, notes, write


@pytest.mark.skipif(not ROOT, reason="an ordinary user's cluster lies inside the data directory")
class TestIdentity:
    """As root the cluster lies apart from the data directory, and still belongs to it."""

    def test_the_first_start_writes_it_down_on_both_sides_and_locating_does_not(self, settings):
        settings.data_dir.mkdir(parents=True)
        before = postgres.locate(settings)
        assert not before.layout.home.exists()
        assert list(settings.data_dir.iterdir()) == []
        cluster = postgres.start(settings)
        assert cluster.layout == before.layout == postgres.locate(settings).layout
        identity = settings.data_dir / "postgres.id"
        assert identity.read_text() == f"{cluster.layout.home.name}\n"
        assert stat.S_IMODE(identity.stat().st_mode) == 0o600
        assert postgres_layout.recorded_data_dir(cluster.layout.home) == settings.data_dir

    @pytest.mark.parametrize("stopped", [True, False])
    def test_a_renamed_checkout_keeps_its_rows(self, settings, tmp_path, stopped):
        cluster = postgres.start(settings)
        write(cluster)
        if stopped:
            cluster.stop()
        settings.data_dir.parent.rename(tmp_path / "renamed")
        for renamed in checkout(tmp_path / "renamed" / ".sigma"):
            again = postgres.start(renamed)
            assert notes(again) == ["kept"]
            assert again.layout.home == cluster.layout.home
            assert postgres_layout.recorded_data_dir(again.layout.home) == renamed.data_dir

    @pytest.mark.parametrize("stopped", [True, False])
    def test_a_new_checkout_in_the_place_of_a_deleted_one_starts_empty(self, settings, stopped):
        old = postgres.start(settings)
        write(old)
        if stopped:
            old.stop()
        shutil.rmtree(settings.data_dir)
        try:
            assert not postgres.locate(settings).running
            new = postgres.start(settings)
            assert new.layout.home != old.layout.home
            with pytest.raises(psycopg.errors.UndefinedTable):
                notes(new)
            new.stop()
            assert old.running != stopped
            assert postgres.start(settings).layout == new.layout
        finally:
            end_and_remove(old)

    @pytest.mark.parametrize("stopped", [True, False])
    def test_a_copy_of_a_data_directory_is_refused_and_the_original_left_alone(self, settings, tmp_path, stopped):
        cluster = postgres.start(settings)
        write(cluster)
        if stopped:
            cluster.stop()
        shutil.copytree(settings.data_dir, tmp_path / "copy")
        copy = settings_for(tmp_path / "copy")
        for attempt in (postgres.locate, postgres.start):
            with pytest.raises(
                ClusterError, match=f"is a copy of {settings.data_dir}, .* Remove .*/copy/postgres.id"
            ) as refused:
                attempt(copy)
            assert "\n" not in str(refused.value)
        assert cluster.running != stopped
        assert notes(postgres.start(settings)) == ["kept"]
        (copy.data_dir / "postgres.id").unlink()
        for own in checkout(copy.data_dir):
            assert postgres.start(own).layout.home != cluster.layout.home

    def test_a_copy_whose_original_is_gone_or_has_another_database_by_now_is_a_rename(self, settings, tmp_path):
        cluster = postgres.start(settings)
        write(cluster)
        cluster.stop()
        shutil.copytree(settings.data_dir, tmp_path / "copy")
        (settings.data_dir / "postgres.id").unlink()
        other = postgres.start(settings)
        assert other.layout.home != cluster.layout.home
        for copy in checkout(tmp_path / "copy"):
            assert notes(postgres.start(copy)) == ["kept"]

    def test_the_same_directory_by_another_way_is_no_copy(self, settings, tmp_path, monkeypatch):
        cluster = postgres.start(settings)
        alias = tmp_path / "alias"
        alias.symlink_to(settings.data_dir)  # stands for a bind mount, which cannot be resolved
        (cluster.layout.home / "belongs_to").write_bytes(os.fsencode(alias))
        assert postgres.start(settings).pid == cluster.pid

    @pytest.mark.parametrize("content", ["", "../../../etc", "0123456789abcdef/.."])
    def test_an_identity_that_sigma_did_not_write_is_refused(self, settings, content):
        settings.data_dir.mkdir(parents=True)
        identity = settings.data_dir / "postgres.id"
        identity.write_text(content)
        with pytest.raises(ClusterError, match="remove it to start with an empty database") as refused:
            postgres.start(settings)
        assert "\n" not in str(refused.value)
        identity.unlink()

    def test_a_database_that_is_gone_is_not_replaced_by_an_empty_one_unasked(self, settings):
        cluster = postgres.start(settings)
        end_and_remove(cluster)
        with pytest.raises(ClusterError, match="is gone") as refused:
            postgres.start(settings)
        assert "\n" not in str(refused.value)
        (settings.data_dir / "postgres.id").unlink()
        assert postgres.start(settings).running

    def test_an_ordinary_user_needs_none(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        (tmp_path / "postgres.id").write_text("whatever")
        assert postgres_layout.layout_of(tmp_path).home == tmp_path / "postgres"
