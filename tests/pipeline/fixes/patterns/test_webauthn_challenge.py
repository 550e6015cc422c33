"""Passkeys: challenges in Redis, and how they are made."""

from collections.abc import Callable

import pytest

Mend = Callable[..., str | None]

MENDED = [
    # rule, path, before, after; whole files
    (
        "semgrep-rules.webauthn-challenge-storage-without-expiry",
        "Store.kt",
        """\
class RedisChallengeStore(private val jedis: Jedis) {
    fun store(userId: String, challenge: String) {
        jedis.set("challenge:$userId", challenge)
    }
}
""",
        """\
class RedisChallengeStore(private val jedis: Jedis) {
    fun store(userId: String, challenge: String) {
        jedis.setex("challenge:$userId", 300, challenge)
    }
}
""",
    ),
    (
        "semgrep-rules.webauthn-challenge-storage-without-expiry",
        "Store.java",
        """\
package passkeys;

import org.springframework.data.redis.core.StringRedisTemplate;

class ChallengeStore {
    void store(String id, String challenge) {
        redisTemplate.opsForValue().set("challenge:" + id, challenge);
    }
}
""",
        """\
package passkeys;

import java.time.Duration;
import org.springframework.data.redis.core.StringRedisTemplate;

class ChallengeStore {
    void store(String id, String challenge) {
        redisTemplate.opsForValue().set("challenge:" + id, challenge, Duration.ofSeconds(300));
    }
}
""",
    ),
    (
        "semgrep-rules.webauthn-challenge-storage-without-expiry",
        "store.ts",
        """\
import Redis from 'ioredis';

const redis = new Redis();

export async function remember(userId: string, challenge: string) {
  await redis.set(`challenge:${userId}`, challenge);
}
""",
        """\
import Redis from 'ioredis';

const redis = new Redis();

export async function remember(userId: string, challenge: string) {
  await redis.set(`challenge:${userId}`, challenge, 'EX', 300);
}
""",
    ),
    (
        "semgrep-rules.webauthn-challenge-storage-without-expiry",
        "store.js",
        """\
const { createClient } = require('redis');
const client = createClient();

async function remember(userId, challenge) {
  await client.set(`challenge:${userId}`, challenge);
}
""",
        """\
const { createClient } = require('redis');
const client = createClient();

async function remember(userId, challenge) {
  await client.set(`challenge:${userId}`, challenge, { EX: 300 });
}
""",
    ),
    (
        "semgrep-rules.webauthn-challenge-storage-without-expiry",
        "store.py",
        """\
import redis

r = redis.Redis()


def remember(user_id, challenge):
    r.set(f"challenge:{user_id}", challenge)
""",
        """\
import redis

r = redis.Redis()


def remember(user_id, challenge):
    r.set(f"challenge:{user_id}", challenge, ex=300)
""",
    ),
    (
        "webauthn-challenge-reuse",
        "Store.kt",
        """\
class ChallengeStore(private val jedis: Jedis) {
    fun store(id: String, challenge: String) {
        jedis.setex("challenge:$id", 300, challenge)
    }

    fun load(id: String): String? = jedis.get("challenge:$id")
}
""",
        """\
class ChallengeStore(private val jedis: Jedis) {
    fun store(id: String, challenge: String) {
        jedis.setex("challenge:$id", 300, challenge)
    }

    fun load(id: String): String? = jedis.getDel("challenge:$id")
}
""",
    ),
    (
        "webauthn-challenge-weak-random",
        "options.ts",
        """\
import crypto from 'crypto';

export function options() {
  const challenge = Math.random().toString(36).slice(2);
  return { challenge };
}
""",
        """\
import crypto from 'crypto';

export function options() {
  const challenge = crypto.randomBytes(32).toString('base64url');
  return { challenge };
}
""",
    ),
    (
        "webauthn-challenge-too-short",
        "options.py",
        """\
import os


def options():
    challenge = os.urandom(8)
    return challenge
""",
        """\
import os


def options():
    challenge = os.urandom(32)
    return challenge
""",
    ),
    (
        "webauthn-challenge-random",
        "options.py",
        """\
import random


def options():
    challenge = random.randbytes(16)
    return challenge
""",
        """\
import secrets


def options():
    challenge = secrets.token_bytes(32)
    return challenge
""",
    ),
    (
        "webauthn-challenge-short",
        "Options.kt",
        """\
fun newChallenge(): ByteArray = ByteArray(8).also { SecureRandom().nextBytes(it) }
""",
        """\
fun newChallenge(): ByteArray = ByteArray(32).also { SecureRandom().nextBytes(it) }
""",
    ),
]

LEFT = [
    # what gets no fix: rule, path, text
    (
        "webauthn-challenge-storage-without-expiry",
        "A.kt",
        """\
class RedisChallengeStore(private val jedis: Jedis) {
    fun store(id: String, challenge: String) {
        jedis.setex("challenge:$id", 300, challenge)
        jedis.set("challenge:$id", challenge, SetParams().ex(300))
    }
}
""",
    ),
    (
        "webauthn-challenge-storage-without-expiry",
        "A.kt",
        """\
class UserStore(private val jedis: Jedis) {
    fun store(id: String, name: String) {
        jedis.set("user:$id", name)
    }
}
""",
    ),
    (
        "webauthn-challenge-storage-without-expiry",
        "a.ts",
        """\
import Redis from 'ioredis';

const redis = new Redis();

export async function remember(userId: string, challenge: string) {
  await redis.set(`challenge:${userId}`, challenge, 'EX', 60);
  settings.set('challenge', challenge);
}
""",
    ),
    (
        "webauthn-challenge-storage-without-expiry",
        "a.py",
        """\
def remember(r, user_id, challenge):
    r.set(f"challenge:{user_id}", challenge, ex=60)
""",
    ),
    (
        "webauthn-challenge-random",
        "a.py",
        """\
import os


def options():
    challenge = os.urandom(32)
    colour = os.urandom(3)
    return challenge
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
