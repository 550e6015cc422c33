"""Java and Kotlin: secrets in logs."""

from collections.abc import Callable

import pytest

Mend = Callable[..., str | None]

MENDED = [
    # rule, path, before, after; whole files
    (
        "kotlin-log-sensitive-token",
        "Log.kt",
        """\
fun login(user: String, token: String) {
    logger.info("token of $user is $token")
    Log.d(TAG, "password ${form.password} of ${form.name}")
    logger.debug("refresh {}", refreshToken)
}
""",
        """\
fun login(user: String, token: String) {
    logger.info("token of $user is [hidden]")
    Log.d(TAG, "password [hidden] of ${form.name}")
    logger.debug("refresh {}", "[hidden]")
}
""",
    ),
    (
        "logger-credentials-leak",
        "Log.java",
        """\
class Log {
    void login(String user, String password) {
        log.info("password of " + user + " is " + password);
    }
}
""",
        """\
class Log {
    void login(String user, String password) {
        log.info("password of " + user + " is " + "[hidden]");
    }
}
""",
    ),
]

LEFT = [
    # what gets no fix: rule, path, text
    (
        "log-sensitive-token",
        "A.kt",
        """\
fun login(user: String, tokens: Int) {
    logger.info("login of $user with $tokens tokens, tokenCount ${form.tokenCount}")
}
""",
    ),
]


@pytest.mark.parametrize(("rule", "path", "before", "after"), MENDED)
def test_weak_code_is_mended(mend: Mend, rule: str, path: str, before: str, after: str) -> None:
    """The edit ends the weakness, once, and nothing else changes."""
    assert mend(path, before, rule) == after


@pytest.mark.parametrize(("rule", "path", "text"), LEFT)
def test_what_is_right_or_unclear_stays(mend: Mend, rule: str, path: str, text: str) -> None:
    """Code without the weakness, or that only a guess could mend, gets no fix."""
    assert mend(path, text, rule) is None
