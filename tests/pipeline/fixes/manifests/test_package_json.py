"""npm, yarn and pnpm: ranges in their style, overrides for what others bring in."""

import json
from typing import Any

import pytest

MANIFEST = """{
  "name": "für-alle",
  "dependencies": {
    "lodash": "^4.17.0",
    "exact": "1.2.3",
    "tilde": "~1.2.0",
    "major": "1.x",
    "minor": "1.2",
    "git": "github:acme/git",
    "either": "^1.0.0 || ^2.0.0",
    "brace-expansion": "^4.0.0"
  },
  "devDependencies": { "dev": ">=1.0.0" }
}
"""
LOCKED = {
    "node_modules/brace-expansion": "1.1.11",
    "node_modules/glob/node_modules/brace-expansion": "2.0.1",
    "node_modules/semver": "6.3.0",
    "node_modules/@acme/pad": "1.0.0",
}
LOCK = json.dumps({"packages": {"": {}, **{path: {"version": v} for path, v in LOCKED.items()}}})
OLD_LOCK = json.dumps(
    {"dependencies": {"a": {"version": "1.0.0", "dependencies": {"semver": {"version": "6.3.0"}}}}}
)
PROJECT = {"web/package.json": MANIFEST, "web/package-lock.json": LOCK}


@pytest.mark.parametrize(
    ("name", "installed", "version", "old", "new"),
    [
        ("lodash", "4.17.20", "4.17.21", "^4.17.0", "^4.17.21"),
        ("exact", "1.2.3", "1.2.4", '"1.2.3"', '"1.2.4"'),
        ("tilde", "1.2.1", "1.2.9", "~1.2.0", "~1.2.9"),
        ("major", "1.0.5", "1.2.0", "1.x", "^1.2.0"),
        ("minor", "1.2.5", "1.2.6", '"1.2"', '"~1.2.6"'),
        ("dev", "1.0.0", "2.0.0", ">=1.0.0", ">=2.0.0"),
    ],
)
def test_a_range_keeps_its_style(
    *, mend: Any, asked: Any, name: str, installed: str, version: str, old: str, new: str
) -> None:
    """The lower end goes up; what the range allows above it stays."""
    wanted = asked(
        name=name,
        installed=installed,
        version=version,
        ecosystem="npm",
        path="web/package-lock.json",
    )
    (fix,) = mend(PROJECT, wanted)
    assert fix.after == MANIFEST.replace(old, new, 1)
    assert "Renew `package-lock.json` with `npm install`." in fix.reason


@pytest.mark.parametrize(
    ("name", "installed", "version", "key"),
    [
        ("semver", "6.3.0", "6.3.1", "semver"),
        ("@acme/pad", "1.0.0", "1.0.1", "@acme/pad"),
        ("brace-expansion", "1.1.11", "1.1.12", "brace-expansion@1"),
        ("brace-expansion", "2.0.1", "2.0.2", "brace-expansion@2"),
    ],
)
def test_an_override_for_what_others_bring_in(
    *, mend: Any, asked: Any, name: str, installed: str, version: str, key: str
) -> None:
    """Where the lock file has other major versions too, only the installed one is overridden."""
    wanted = asked(
        name=name,
        installed=installed,
        version=version,
        ecosystem="npm",
        path="web/package-lock.json",
    )
    (fix,) = mend(PROJECT, wanted)
    added = f',\n  "overrides": {{\n    "{key}": "^{version}"\n  }}\n}}\n'
    assert fix.after == MANIFEST.removesuffix("\n}\n") + added


def test_a_second_override_joins_the_first(mend: Any, asked: Any) -> None:
    """Overrides stand together, and one that is too low is raised."""
    text = '{\n\t"overrides": {\n\t\t"semver": "6.3.0"\n\t}\n}\n'
    texts = {"package.json": text, "package-lock.json": LOCK}
    wanted = asked(
        name="semver", installed="6.3.0", version="6.3.1", ecosystem="npm", path="package-lock.json"
    )
    assert mend(texts, wanted)[0].after == text.replace("6.3.0", "6.3.1")
    wanted = asked(
        name="@acme/pad",
        installed="1.0.0",
        version="1.0.1",
        ecosystem="npm",
        path="package-lock.json",
    )
    assert mend(texts, wanted)[0].after == text.replace(
        '"6.3.0"', '"6.3.0",\n\t\t"@acme/pad": "^1.0.1"'
    )


@pytest.mark.parametrize(
    ("lock", "text", "keys"),
    [
        ("yarn.lock", 'semver@^6.0.0, semver@^6.3.0:\n  version "6.3.0"\n', ("resolutions",)),
        ("yarn.lock", '"semver@npm:^6.0.0":\n  version: 6.3.0\n', ("resolutions",)),
        ("pnpm-lock.yaml", "packages:\n\n  semver@6.3.0:\n    a: b\n", ("pnpm", "overrides")),
        ("pnpm-lock.yaml", "packages:\n\n  /semver/6.3.0:\n    a: b\n", ("pnpm", "overrides")),
        ("package-lock.json", OLD_LOCK, ("overrides",)),
    ],
)
def test_each_package_manager_has_its_own_place(
    *, mend: Any, asked: Any, lock: str, text: str, keys: tuple[str, ...]
) -> None:
    """The lock file tells whose project it is, in each of its formats."""
    wanted = asked(name="semver", installed="6.3.0", version="6.3.1", ecosystem="npm", path=lock)
    (fix,) = mend({"package.json": "{}\n", lock: text}, wanted)
    held = json.loads(fix.after)
    for key in keys:
        held = held[key]
    assert held == {"semver": "^6.3.1"}


def test_a_workspace_that_asks_for_it(mend: Any, asked: Any) -> None:
    """The one workspace that declares the package changes; of two neither does."""
    texts = {"package.json": '{"workspaces": ["a"]}\n', "a/package.json": MANIFEST, "yarn.lock": ""}
    wanted = asked(
        name="lodash", installed="4.17.20", version="4.17.21", ecosystem="npm", path="yarn.lock"
    )
    assert [fix.path for fix in mend(texts, wanted)] == ["a/package.json"]
    assert mend({**texts, "b/package.json": MANIFEST}, wanted) == ()


@pytest.mark.parametrize("name", ["git", "either", "gone"])
def test_nothing_is_guessed(mend: Any, asked: Any, name: str) -> None:
    """What is no simple range, and what the lock file has no more, is left alone."""
    wanted = asked(
        name=name, installed="1.0.0", version="1.1.0", ecosystem="npm", path="web/package-lock.json"
    )
    assert mend(PROJECT, wanted) == ()


def test_yarn_overrides_all_or_nothing(mend: Any, asked: Any) -> None:
    """Yarn's resolutions cannot tell major versions apart, so that two of them give none."""
    lock = 'a@^1:\n  version "1.0.0"\n\na@^2:\n  version "2.0.0"\n'
    wanted = asked(name="a", installed="1.0.0", version="1.0.1", ecosystem="npm", path="yarn.lock")
    assert mend({"package.json": "{}\n", "yarn.lock": lock}, wanted) == ()


@pytest.mark.parametrize("text", ["", "[]", '{"a": }', '{"overrides": []}', '{"overrides": 1}'])
def test_what_is_no_manifest(mend: Any, asked: Any, text: str) -> None:
    """A file that is no object, or has something else in the place, is not touched."""
    wanted = asked(
        name="semver", installed="6.3.0", version="6.3.1", ecosystem="npm", path="package-lock.json"
    )
    assert mend({"package.json": text, "package-lock.json": LOCK}, wanted) == ()


def test_packages_of_the_base_image(mend: Any, asked: Any) -> None:
    """What Node's own npm carries is not the project's, though it declares the same package."""
    text = '{"dependencies": {"semver": "^6.3.0"}}\n'
    for path, count in (
        ("app/node_modules/semver/package.json", 1),
        ("usr/local/lib/node_modules/npm/node_modules/semver/package.json", 0),
    ):
        wanted = asked(
            name="semver",
            installed="6.3.0",
            version="6.3.1",
            ecosystem="node-pkg",
            path=path,
            image="x",
        )
        assert len(mend({"package.json": text}, wanted)) == count
