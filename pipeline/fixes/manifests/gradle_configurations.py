"""Which configuration of a Gradle module a constraint has to stand in to reach what is locked."""

import re

_CLASSPATH = re.compile(r"(?:(\w+?)(?:Compile|Runtime)|compile|runtime)Classpath")
_TESTS = (("AndroidTest", "androidTestImplementation"), ("UnitTest", "testImplementation"))
_MAX_LOCKED = 60
_INTERNAL = re.compile(r"_|kapt|ksp|kotlin\w*Classpath")


def configuration_for(locked: tuple[str, ...], script: str) -> str | None:
    """Return the configuration whose constraints all or the most of the locked ones see.

    Args:
        locked: the configurations that the lock file's line names, () where there is none.
        script: the module's build script.

    The main source set comes first: tests extend it. None for configurations that no declaration in
    the script reaches, such as those that plugins make for their own tools.
    """
    if not locked:
        return "implementation"
    is_android = re.search(r"com\.android\.|\bandroid\s*\{", script) is not None
    found = {_bucket(name, script, is_android=is_android) for name in locked[:_MAX_LOCKED]}
    ranked = ("implementation", "testFixturesImplementation", "testImplementation")
    rest = sorted(name for name in found if name and name not in ranked)
    return next((name for name in (*ranked, *rest) if name in found), None)


def _bucket(name: str, script: str, *, is_android: bool) -> str | None:
    """Return the configuration that a locked one gets its dependencies from."""
    match = _CLASSPATH.fullmatch(name)
    if match and not _INTERNAL.match(name):
        return _of_source_set(match[1] or "", script, is_android=is_android)
    if not _INTERNAL.match(name) and re.search(rf"\b{re.escape(name)}\b", script):
        return name
    return None


def _of_source_set(source_set: str, script: str, *, is_android: bool) -> str | None:
    if is_android:
        tests = (bucket for mark, bucket in _TESTS if source_set.endswith(mark))
        return next(tests, "implementation")
    if not source_set:
        return "implementation"
    bucket = f"{source_set}Implementation"
    known = source_set == "test" or re.search(rf"\b{bucket}\b", script)
    return bucket if known else None
