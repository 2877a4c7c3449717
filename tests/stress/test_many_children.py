"""Thousands of short-lived children: each ends as it should, and nothing of it stays."""

KINDS = ("silent", "talking", "killed", "in_a_shell")
GROWTH = 500_000


def test_every_child_is_reaped_and_none_leaves_a_descriptor(scene, size):
    number = size(40, 1000)
    stage = scene("child_scenes.many", number=number)
    start = stage.hear()
    first, second = stage.ask("run"), stage.ask("run")
    stage.end()
    for count in (first, second):
        assert count["outcomes"] == {f"{kind} True": number // len(KINDS) for kind in KINDS}
        assert count["children"] is False
        assert count["descriptors"] == start["descriptors"]
        assert count["reported"] == []
    assert second["threads"] == first["threads"] == start["threads"]
    assert second["rss"] - first["rss"] <= GROWTH
