"""Passkeys: signature counters."""

from collections.abc import Callable

import pytest

Mend = Callable[..., str | None]

MENDED = [
    # rule, path, before, after; whole files
    (
        "webauthn-signature-counter",
        "Counter.kt",
        """\
fun accept(stored: StoredKey, authData: AuthenticatorData) {
    if (authData.signCount < stored.signCount) {
        throw AssertionRejected("counter")
    }
    save(stored)
}
""",
        """\
fun accept(stored: StoredKey, authData: AuthenticatorData) {
    if ((authData.signCount > 0 || stored.signCount > 0) && authData.signCount <= stored.signCount) {
        throw AssertionRejected("counter")
    }
    save(stored)
}
""",
    ),
    (
        "webauthn-signature-counter",
        "Counter.java",
        """\
class Counter {
    void accept(StoredKey stored, AuthenticatorData authData) {
        stored.signCount = authData.signCount;
        save(stored);
    }
}
""",
        """\
class Counter {
    void accept(StoredKey stored, AuthenticatorData authData) {
        if ((authData.signCount > 0 || stored.signCount > 0) && authData.signCount <= stored.signCount) {
            throw new IllegalStateException("Signature counter did not increase");
        }
        stored.signCount = authData.signCount;
        save(stored);
    }
}
""",
    ),
    (
        "webauthn-clone-detection",
        "counter.ts",
        """\
export async function accept(passkey: Passkey, authData: AuthenticatorData) {
  passkey.counter = authData.counter;
  await save(passkey);
}
""",
        """\
export async function accept(passkey: Passkey, authData: AuthenticatorData) {
  if ((authData.counter > 0 || passkey.counter > 0) && authData.counter <= passkey.counter) {
    throw new Error('Signature counter did not increase');
  }
  passkey.counter = authData.counter;
  await save(passkey);
}
""",
    ),
    (
        "webauthn-signature-counter",
        "counter.py",
        """\
def accept(credential, auth_data):
    credential.sign_count = auth_data.sign_count
    save(credential)


def check(credential, auth_data):
    if auth_data.sign_count < credential.sign_count:
        raise ValueError("counter")
""",
        """\
def accept(credential, auth_data):
    if (auth_data.sign_count or credential.sign_count) and auth_data.sign_count <= credential.sign_count:
        raise ValueError("Signature counter did not increase")
    credential.sign_count = auth_data.sign_count
    save(credential)


def check(credential, auth_data):
    if (auth_data.sign_count or credential.sign_count) and auth_data.sign_count <= credential.sign_count:
        raise ValueError("counter")
""",
    ),
]

LEFT = [
    # what gets no fix: rule, path, text
    (
        "webauthn-signature-counter",
        "a.ts",
        """\
export async function accept(passkey: Passkey, verification: Verified) {
  passkey.counter = verification.authenticationInfo.newCounter;
  await save(passkey);
}

export function register(passkey: Passkey, authData: AuthenticatorData) {
  passkey.counter = authData.counter;
}

export function checked(passkey: Passkey, authData: AuthenticatorData) {
  if (authData.counter <= passkey.counter) {
    throw new Error('counter');
  }
  passkey.counter = authData.counter;
}
""",
    ),
    (
        "webauthn-signature-counter",
        "A.kt",
        """\
fun fill(pages: List<Page>, counter: Int, lastCounter: Int) {
    if (counter < lastCounter) {
        println("more")
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
