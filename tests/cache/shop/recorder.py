"""A store that only writes down what it is told."""

from __future__ import annotations


class Recorder:
    def __init__(self):
        self.told = []

    def made_key(self, key):
        return f":1:{key}"

    def hold(self, names, seconds, *, holder):
        self.told.append(("hold", plain(names)))
        return True

    def release(self, names, *, holder, changed, facts=None):
        self.told.append(("changed" if changed else "unchanged", plain(names)))

    def invalidate(self, names, *, facts=None):
        self.told.append(("changed", plain(names)))

    @property
    def words(self):
        return [word for word, _ in self.told]

    @property
    def held(self):
        return self._all("hold")

    @property
    def ended(self):
        return self._all("changed")

    def _all(self, word):
        return {name for said, names in self.told if said == word for name in names}

    def forget(self):
        self.told.clear()


def plain(names):
    """Return names as people read them: model:gallery.photo, row:gallery.photo:7."""
    return {name.removeprefix(":1:scalekit:").replace("i1:", "") for name in names}
