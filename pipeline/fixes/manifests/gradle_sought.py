"""Which declarations of a Gradle build decide a package's version, and when they are too low."""

import re
from collections.abc import Callable

import msgspec

from secdaemon.pipeline.fixes.manifests.gradle_script import Script
from secdaemon.pipeline.fixes.manifests.model import Upgrade
from secdaemon.pipeline.fixes.quote import inline

_PLAIN = re.compile(r"v?\d[\w.-]*(?:\+[\w.-]+)?")


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """The modules whose version decides the package's: the package itself, or a bill of materials.

    A bill of materials has the version of what it lists, and only then is taken for one of it.
    """

    upgrade: Upgrade
    modules: frozenset[str]
    """`group:artifact` as scripts and catalogues write it."""
    is_bill: bool = False
    renewal: str = ""
    """The sentence on what renews the lock file, with a space before it."""

    @property
    def what(self) -> str:
        """The modules in a sentence."""
        if not self.is_bill:
            return inline(self.upgrade.name)
        bill = next(iter(sorted(self.modules)), "")
        return f"{inline(bill)}, the bill of materials that {inline(self.upgrade.name)} is in,"

    def is_low(self, version: str) -> bool:
        """Return whether a declared version is one version, no range, and below the fixed one."""
        if self.is_bill and version != self.upgrade.installed:
            return False
        return _PLAIN.fullmatch(version) is not None and self.upgrade.is_low_in(version)

    def because(self, how: str) -> str:
        """Return the reason of an edit."""
        return self.upgrade.because(how) + self.renewal

    def weak_script(self, path: str) -> Callable[[str], bool]:
        """Return the predicate: whether a build script leaves the package below the fixed version.

        It does where it gives the package no version, or one below; a variable that another file
        sets counts for nothing.
        """

        def is_weak(text: str) -> bool:
            script = Script(path, text)
            values = self.values(script)
            return not values or any(self.is_low(value) for value in values)

        return is_weak

    def values(self, script: Script) -> list[str]:
        """Return the versions that a script gives the modules; "" for one set elsewhere."""
        found = [d for d in script.declared() if d.module in self.modules]
        values = [d.version for d in found if not d.variable]
        for variable in dict.fromkeys(d.variable for d in found if d.variable):
            values += [literal.text for literal in script.versions(variable)] or [""]
        return values

    def is_met(self, script: Script) -> bool:
        """Return whether a script gives a module the fixed version or a later one."""
        plain = (value for value in self.values(script) if _PLAIN.fullmatch(value))
        return any(not self.upgrade.is_low(value) for value in plain)
