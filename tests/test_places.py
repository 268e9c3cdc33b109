from ouroloop.places import user_cache


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("OUROLOOP_CACHE", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert user_cache() == tmp_path / "ouroloop"
    monkeypatch.setenv("OUROLOOP_CACHE", str(tmp_path / "mine"))
    assert user_cache() == tmp_path / "mine"
