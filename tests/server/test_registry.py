"""The SuperLink is told of a site once, and states are shown by site."""

from pathlib import Path

import pytest

from server.coordinator import SuperLink
from server.provision import provision
from server.registry import forget_sites, register_sites, site_states


class ToldSuperLink(SuperLink):
    """Notes who was registered instead of asking Flower."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.told: list[str] = []

    def register(self, site: str) -> str:
        self.told.append(site)
        return f"node-{site}"

    def nodes(self) -> dict[str, str]:
        return {"node-A": "online", "node-B": "registered"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    provision(tmp_path, ["A", "B"], "127.0.0.1:8443")
    (tmp_path / "flower").mkdir()
    return tmp_path


def test_each_site_is_registered_once(folder: Path) -> None:
    first = ToldSuperLink(folder)
    assert register_sites(first) == {"A": "node-A", "B": "node-B"}
    provision(folder, ["C"], "127.0.0.1:8443")
    second = ToldSuperLink(folder)
    register_sites(second)
    assert (first.told, second.told) == (["A", "B"], ["C"])


def test_a_new_database_is_told_again(folder: Path) -> None:
    register_sites(ToldSuperLink(folder))
    again = ToldSuperLink(folder)
    forget_sites(again)
    register_sites(again)
    assert again.told == ["A", "B"]


def test_states_by_site(folder: Path) -> None:
    link = ToldSuperLink(folder)
    assert site_states(link) == {}
    provision(folder, ["C"], "127.0.0.1:8443")
    register_sites(ToldSuperLink(folder))
    assert site_states(link) == {"A": "online", "B": "registered", "C": "unknown"}
