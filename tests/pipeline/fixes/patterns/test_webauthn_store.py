"""Passkeys: challenges in the memory of a server."""

from collections.abc import Callable

import pytest

Mend = Callable[..., str | None]

MENDED = [
    # rule, path, before, after; whole files
    (
        "semgrep-rules.webauthn-challenge-storage-without-expiry",
        "Pending.kt",
        """\
package passkeys

import java.util.concurrent.ConcurrentHashMap

class ChallengeStore {
    private val pending = ConcurrentHashMap<String, PublicKeyCredentialCreationOptions>()

    fun store(id: String, options: PublicKeyCredentialCreationOptions) {
        pending[id] = options
    }

    fun take(id: String): PublicKeyCredentialCreationOptions? = pending.remove(id)
}
""",
        """\
package passkeys

import java.time.Instant
import java.util.concurrent.ConcurrentHashMap

class ChallengeStore {
    private val pending = ConcurrentHashMap<String, Pair<PublicKeyCredentialCreationOptions, Instant>>()

    fun store(id: String, options: PublicKeyCredentialCreationOptions) {
        pending[id] = options to Instant.now().plusSeconds(300)
    }

    fun take(id: String): PublicKeyCredentialCreationOptions? = pending.remove(id)?.takeIf { held -> Instant.now() < held.second }?.first
}
""",
    ),
    (
        "semgrep-rules.webauthn-challenge-storage-without-expiry",
        "Pending.java",
        """\
package passkeys;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

class ChallengeStore {
    private final Map<String, String> challenges = new ConcurrentHashMap<>();

    void store(String id, String challenge) {
        challenges.put(id, challenge);
    }

    String find(String id) {
        return challenges.get(id);
    }
}
""",
        """\
package passkeys;

import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

class ChallengeStore {
    private final Map<String, Map.Entry<String, Instant>> challenges = new ConcurrentHashMap<>();

    void store(String id, String challenge) {
        challenges.put(id, Map.entry(challenge, Instant.now().plusSeconds(300)));
    }

    String find(String id) {
        return Optional.ofNullable(challenges.remove(id)).filter(held -> Instant.now().isBefore(held.getValue())).map(Map.Entry::getKey).orElse(null);
    }
}
""",
    ),
    (
        "semgrep-rules.webauthn-challenge-storage-without-expiry",
        "pending.ts",
        """\
const challenges = new Map<string, string>();

export function remember(userId: string, challenge: string) {
  challenges.set(userId, challenge);
}

export function verify(userId: string) {
  const expected = challenges.get(userId);
  if (!expected) {
    throw new Error('No challenge');
  }
  return expected;
}
""",
        """\
const challenges = new Map<string, { value: string; expiresAt: number }>();

export function remember(userId: string, challenge: string) {
  challenges.set(userId, { value: challenge, expiresAt: Date.now() + 5 * 60 * 1000 });
}

export function verify(userId: string) {
  const held = challenges.get(userId);
  challenges.delete(userId);
  const expected = held && held.expiresAt > Date.now() ? held.value : undefined;
  if (!expected) {
    throw new Error('No challenge');
  }
  return expected;
}
""",
    ),
    (
        "semgrep-rules.webauthn-challenge-storage-without-expiry",
        "pending.js",
        """\
const challenges = {};

app.post('/options', (req, res) => {
  challenges[req.session.id] = options.challenge;
  res.json(options);
});

app.post('/verify', (req, res) => {
  const expectedChallenge = challenges[req.session.id];
  delete challenges[req.session.id];
  check(expectedChallenge);
});
""",
        """\
const challenges = {};

app.post('/options', (req, res) => {
  challenges[req.session.id] = { value: options.challenge, expiresAt: Date.now() + 5 * 60 * 1000 };
  res.json(options);
});

app.post('/verify', (req, res) => {
  const held = challenges[req.session.id];
  const expectedChallenge = held && held.expiresAt > Date.now() ? held.value : undefined;
  delete challenges[req.session.id];
  check(expectedChallenge);
});
""",
    ),
    (
        "semgrep-rules.webauthn-challenge-storage-without-expiry",
        "pending.py",
        """\
from flask import session

challenges = {}


def begin(user):
    challenges[user] = options.challenge


def finish(user):
    challenge = challenges.pop(user, None)
    return verify(challenge)
""",
        """\
import time
from flask import session

challenges = {}


def begin(user):
    challenges[user] = (options.challenge, time.monotonic() + 300)


def finish(user):
    challenge, held_until = challenges.pop(user, (None, 0.0))
    if time.monotonic() >= held_until:
        challenge = None
    return verify(challenge)
""",
    ),
]

LEFT = [
    (
        "webauthn-challenge-storage",
        "shared.js",
        """\
const challenges = new Map();

function issue(user, challenge) {
  challenges.set(user, challenge);
}

function take(user) {
  const expected = challenges.get(user);
  return expected;
}

module.exports = { issue, take, challenges };
""",
    ),
    (
        "webauthn-challenge-storage",
        "shared.js",
        """\
const challenges = {};

exports.issue = (user, challenge) => {
  challenges[user] = challenge;
};
exports.take = (user) => {
  const expected = challenges[user];
  return expected;
};
exports.all = challenges;
""",
    ),
    # what gets no fix: rule, path, text
    (
        "webauthn-challenge-storage-without-expiry",
        "A.kt",
        """\
class ChallengeStore {
    private val pending = ConcurrentHashMap<String, Pending>()

    fun store(id: String, challenge: String) {
        pending[id] = Pending(challenge, createdAt = clock.instant())
    }

    fun take(id: String): Pending? = pending.remove(id)
}
""",
    ),
    (
        "webauthn-challenge-storage-without-expiry",
        "A.kt",
        """\
class ChallengeStore {
    private val challenges = ConcurrentHashMap<String, String>()

    fun store(id: String, challenge: String) {
        challenges[id] = challenge
    }

    fun take(id: String): String? = challenges.remove(id)

    fun all(): Map<String, String> = challenges
}
""",
    ),
    (
        "webauthn-challenge-storage-without-expiry",
        "A.kt",
        """\
class NameStore {
    private val names = ConcurrentHashMap<String, String>()

    fun store(id: String, name: String) {
        names[id] = name
    }

    fun take(id: String): String? = names.remove(id)
}
""",
    ),
    (
        "webauthn-challenge-storage-without-expiry",
        "A.kt",
        """\
class ChallengeStore {
    val challenges = ConcurrentHashMap<String, String>()

    fun store(id: String, challenge: String) {
        challenges[id] = challenge
    }

    fun take(id: String): String? = challenges.remove(id)
}
""",
    ),
    (
        "webauthn-challenge-storage-without-expiry",
        "a.ts",
        """\
export const challenges = new Map<string, string>();

export function remember(userId: string, challenge: string) {
  challenges.set(userId, challenge);
}

export function find(userId: string) {
  const expected = challenges.get(userId);
  return expected;
}
""",
    ),
    (
        "webauthn-challenge-storage-without-expiry",
        "a.py",
        """\
challenges = {}


def begin(user):
    challenges[user] = options.challenge


def finish(user):
    return verify(challenges[user])
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
