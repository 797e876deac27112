"""Guards a live PEFT: which patches belong where, put there, looked for, and taken away."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from .._errors import name_of
from ..releases.live import live_release
from . import configs, crossings, files, meeting
from .patching import Place, attributes_of, holds, mark_of, peel, put
from .watch import Watch

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Iterator

    from ..releases.live import Release
    from .state import State

# Who has patches to place: each is asked for its places with the watch of one PEFT, at every start, look and undo. The
# owner of a place is a class or module of PEFT, or of a library that is imported already.
CONTRIBUTORS: tuple[Callable[[Watch], Iterator[Place]], ...] = (
    configs.places,
    meeting.places,
    crossings.places,
    files.places,
)

_MOMENT = 0.01  # seconds, in which another thread comes from making a class to telling us of it


class Unguarded(NamedTuple):
    """Something that is not guarded.

    Attributes:
        owner: The class or module.
        name: What the status calls it.
        is_stubborn: Whether it takes no patch, so that `apply` would change nothing.
    """

    owner: Any
    name: str
    is_stubborn: bool


class Install:
    """The patches on one imported copy of PEFT.

    Attributes:
        release: That copy.
        watch: The rules its patches apply.
    """

    def __init__(self, release: Release, state: State) -> None:
        self.release = release
        self.watch = Watch(release, state)

    def renew(self, release: Release) -> None:
        """Work with the parts of this PEFT as they are now: modules of it may have been imported anew."""
        if release.module is not self.release.module:
            _clean(self.release.module)  # nobody finds that one any more
        self.release = release
        self.watch.renew(release)

    def apply(self) -> None:
        """Patch whatever is not guarded, and can be: what takes no patch is named by `unguarded`."""
        self.watch.stubborn.clear()
        for place in self._places():
            try:
                put(place, self.watch)
            except Exception:  # whatever a foreign metaclass raises
                self.watch.stubborn[place.owner] = True

    def undo(self) -> None:
        """Put back the original of every patch that nothing sits on. The others are tried again at the next undo."""
        found = [*self.release.owners(), *(place.owner for place in self._places())]
        found += [module for module, _, _ in crossings.holders()]  # who has imported a patched function since
        owners = {id(owner): owner for owner in found}
        for owner in owners.values():
            _clean(owner)
        self.watch.newcomers.clear()
        self.watch.misfits.forget()

    def registered(self) -> list[type]:
        """Return the config classes that PEFT registers."""
        found = {id(cls): cls for cls in self.release.configs.values() if isinstance(cls, type)}  # some have no hash
        return list(found.values())

    def unguarded(self) -> list[Unguarded]:
        """Return the config classes, and the other places, that are not guarded now. Changes nothing.

        A class that was made after patching, and has no instance yet, counts as guarded: its first instance has it
        patched. So does one that another thread is making at this moment, which is known a moment later.
        """
        found = self._open()
        if found:
            time.sleep(_MOMENT)
            again = self._open()
            found = {key: each for key, each in found.items() if key in again}
        return list(found.values())

    def _open(self) -> dict[tuple[int, Optional[str]], Unguarded]:
        """Return what is not guarded, by ``id`` and, for others than config classes, the attribute."""
        with self.watch.state.lock:  # or a class is adopted between one look and the next
            opened = {(id(place.owner), place.name): place for place in self._places() if not self._is_guarded(place)}
            registered = {id(cls) for cls in self.registered()}
            classes = {id(cls): cls for cls in self.release.config_classes()}
            found: dict[tuple[int, Optional[str]], Unguarded] = {}
            for key, cls in classes.items():
                used = configs.relied_on(cls) if key in registered else configs.held_by(cls)
                missed = [owner for owner, name in used if (id(owner), name) in opened]
                if missed and cls not in self.watch.newcomers:
                    found[key, None] = Unguarded(cls, name_of(cls), self._is_stubborn(*missed))
            for (key, name), place in opened.items():
                if key not in classes or name not in configs.NAMES:
                    shown = f"{place.owner.__name__}.{name}"
                    found[key, name] = Unguarded(place.owner, shown, self._is_stubborn(place.owner))
            return found

    def _is_stubborn(self, *owners: Any) -> bool:
        """Whether none of these has taken a patch when that was last tried."""
        return all(owner in self.watch.stubborn for owner in owners)

    def _places(self) -> list[Place]:
        """Return all places. Where two look at the same attribute, the later one is around the earlier."""
        found: dict[tuple[int, str], Place] = {}
        for contribute in CONTRIBUTORS:
            for place in contribute(self.watch):
                below = found.get((id(place.owner), place.name))
                found[id(place.owner), place.name] = below.under(place) if below is not None else place
        return list(found.values())

    def _is_guarded(self, place: Place) -> bool:
        with contextlib.suppress(Exception):
            return holds(place, self.watch) or not (place.adds or place.name in attributes_of(place.owner))
        return False


def _clean(owner: Any) -> None:
    """Take every patch of ours off a class or module."""
    for name, value in list(attributes_of(owner).items()):
        if mark_of(value) is not None:
            peel(owner, name)


def apply(state: State, peft: types.ModuleType) -> None:
    """Guard this PEFT, on top of what may be guarded already.

    Raises:
        RuntimeError: if this PEFT lacks something peft-strict needs.
    """
    install = _install_of(live_release(peft), state)
    for other in [known for known in state.installs if type(known) is not Install]:
        other.undo()  # placed by a copy of our code that was reloaded
        state.installs.remove(other)
    if install not in state.installs:
        state.installs.append(install)
    try:
        install.apply()
    except BaseException:
        install.undo()
        raise


def _install_of(release: Release, state: State) -> Install:
    """Return what this copy of our code has patched of that copy of PEFT, brought up to date; or a new one.

    Two imports of ``peft`` are one PEFT as long as their classes are the same: deleting a package from ``sys.modules``
    leaves its submodules.
    """
    for known in state.installs:
        if type(known) is Install and known.release.config_base is release.config_base:
            known.renew(release)
            return known
    return Install(release, state)


def inspect_live(state: State, peft: types.ModuleType) -> tuple[int, list[Unguarded], str]:
    """Return how many config classes this PEFT registers, what is not guarded of it, and its version."""
    release = live_release(peft)
    found = (known for known in state.installs if known.release.config_base is release.config_base)
    install = next(found, None) or Install(release, state)  # what another copy of our code has patched counts too
    return len(install.registered()), install.unguarded(), release.version
