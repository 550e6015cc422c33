"""Java and Kotlin: values that nobody may guess."""

from collections.abc import Callable

import pytest

Mend = Callable[..., str | None]

MENDED = [
    # rule, path, before, after; whole files
    (
        "java.lang.security.audit.crypto.weak-random",
        "Tokens.java",
        """\
package tokens;

import java.util.Random;

class Tokens {
    String resetToken() {
        Random random = new Random();
        return Long.toHexString(random.nextLong()) + ThreadLocalRandom.current().nextInt();
    }
}
""",
        """\
package tokens;

import java.security.SecureRandom;
import java.util.Random;

class Tokens {
    String resetToken() {
        Random random = new SecureRandom();
        return Long.toHexString(random.nextLong()) + new SecureRandom().nextInt();
    }
}
""",
    ),
    (
        "weak-random",
        "Tokens.kt",
        """\
package tokens

import kotlin.random.Random

private val letters = ('a'..'z').toList()

fun newChallenge(): ByteArray = Random.nextBytes(32)

fun sessionId(): String = (1..20).map { letters.random() }.joinToString("")

fun oneTimeCode(): Int = Random.nextInt(100_000, 999_999)
""",
        """\
package tokens

import java.security.SecureRandom
import kotlin.random.Random
import kotlin.random.asKotlinRandom

private val letters = ('a'..'z').toList()

fun newChallenge(): ByteArray = ByteArray(32).also { SecureRandom().nextBytes(it) }

fun sessionId(): String = (1..20).map { letters.random(SecureRandom().asKotlinRandom()) }.joinToString("")

fun oneTimeCode(): Int = SecureRandom().asKotlinRandom().nextInt(100_000, 999_999)
""",
    ),
]

LEFT = [
    # what gets no fix: rule, path, text
    (
        "weak-random",
        "A.kt",
        """\
import kotlin.random.Random

fun dice(): Int = Random.nextInt(1, 7)
""",
    ),
    (
        "weak-random",
        "A.java",
        """\
class A {
    int[] tokenSample() {
        return new Random(42).ints(3).toArray();
    }
}
""",
    ),
    (
        "weak-random",
        "A.kt",
        """\
fun token(): ByteArray = ByteArray(32).also { SecureRandom().nextBytes(it) }
""",
    ),
    (
        "weak-random",
        "A.java",
        """\
class A {
    int token() {
        ThreadLocalRandom random = ThreadLocalRandom.current();
        return random.nextInt() + ThreadLocalRandom.current().nextInt(1, 9);
    }
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
