"""Passkeys: origins and RP ids."""

from collections.abc import Callable

import pytest

Mend = Callable[..., str | None]

MENDED = [
    # rule, path, before, after; whole files
    (
        "webauthn-missing-origin-validation",
        "Verify.kt",
        """\
class ClientDataVerifier(private val allowedOrigins: Set<String>) {
    fun verify(clientData: ClientData) {
        require(allowedOrigins.any { clientData.origin.startsWith(it) })
    }

    fun one(clientData: ClientData, expectedOrigin: String) {
        if (!clientData.origin.startsWith(expectedOrigin)) {
            throw SecurityException("origin")
        }
    }
}
""",
        """\
class ClientDataVerifier(private val allowedOrigins: Set<String>) {
    fun verify(clientData: ClientData) {
        require(clientData.origin in allowedOrigins)
    }

    fun one(clientData: ClientData, expectedOrigin: String) {
        if (clientData.origin != expectedOrigin) {
            throw SecurityException("origin")
        }
    }
}
""",
    ),
    (
        "webauthn-missing-origin-validation",
        "Verify.java",
        """\
class Verify {
    void verify(ClientData clientData, String expectedOrigin) {
        if (!clientData.getOrigin().startsWith(expectedOrigin)) {
            throw new SecurityException("origin");
        }
    }
}
""",
        """\
class Verify {
    void verify(ClientData clientData, String expectedOrigin) {
        if (!clientData.getOrigin().equals(expectedOrigin)) {
            throw new SecurityException("origin");
        }
    }
}
""",
    ),
    (
        "webauthn-missing-origin-validation",
        "verify.ts",
        """\
export function verify(clientData: ClientData) {
  if (!clientData.origin.startsWith('https://login.example.com')) {
    throw new Error('origin');
  }
  return allowedOrigins.some((each) => clientData.origin.includes(each));
}
""",
        """\
export function verify(clientData: ClientData) {
  if (clientData.origin !== 'https://login.example.com') {
    throw new Error('origin');
  }
  return allowedOrigins.includes(clientData.origin);
}
""",
    ),
    (
        "webauthn-missing-origin-validation",
        "verify.py",
        """\
def verify(client_data):
    if not client_data["origin"].startswith(EXPECTED_ORIGIN):
        raise ValueError("origin")
    if EXPECTED_ORIGIN not in client_data["origin"]:
        raise ValueError("origin")
    return any(origin.endswith(each) for each in ORIGINS)
""",
        """\
def verify(client_data):
    if client_data["origin"] != EXPECTED_ORIGIN:
        raise ValueError("origin")
    if client_data["origin"] != EXPECTED_ORIGIN:
        raise ValueError("origin")
    return origin in ORIGINS
""",
    ),
    (
        "webauthn-rp-id-validation",
        "server.ts",
        """\
import { verifyRegistrationResponse } from '@simplewebauthn/server';

const rpID = 'example.com';
const origin = 'https://example.com';

export async function register(req: Request, expectedChallenge: string) {
  const verification = await verifyRegistrationResponse({
    response: req.body,
    expectedChallenge,
    expectedOrigin: req.headers.origin,
    expectedRPID: req.hostname,
  });
  return verification.verified;
}
""",
        """\
import { verifyRegistrationResponse } from '@simplewebauthn/server';

const rpID = 'example.com';
const origin = 'https://example.com';

export async function register(req: Request, expectedChallenge: string) {
  const verification = await verifyRegistrationResponse({
    response: req.body,
    expectedChallenge,
    expectedOrigin: origin,
    expectedRPID: rpID,
  });
  return verification.verified;
}
""",
    ),
    (
        "webauthn-missing-origin-validation",
        "server.js",
        """\
const rpID = process.env.RP_ID;
const expectedOrigin = process.env.ORIGIN;

async function login(body, expectedChallenge, credential) {
  const { verified } = await verifyAuthenticationResponse({
    response: body,
    expectedChallenge,
    credential,
  });
  return verified;
}
""",
        """\
const rpID = process.env.RP_ID;
const expectedOrigin = process.env.ORIGIN;

async function login(body, expectedChallenge, credential) {
  const { verified } = await verifyAuthenticationResponse({
    response: body,
    expectedChallenge,
    credential,
    expectedOrigin,
    expectedRPID: rpID,
  });
  return verified;
}
""",
    ),
]

LEFT = [
    # what gets no fix: rule, path, text
    (
        "webauthn-origin-validation",
        "A.kt",
        """\
class Verifier(private val allowedOrigins: Set<String>) {
    fun verify(clientData: ClientData) {
        require(clientData.origin in allowedOrigins)
        require(allowedOrigins.contains(clientData.origin))
        require(clientData.origin.startsWith("https://"))
        require(clientData.type.startsWith(expectedOrigin))
    }
}
""",
    ),
    (
        "webauthn-origin-validation",
        "a.ts",
        """\
export function verify(clientData: ClientData) {
  return allowedOrigins.includes(clientData.origin) && clientData.origin.endsWith('.example.com');
}
""",
    ),
    (
        "webauthn-origin-validation",
        "a.ts",
        """\
const verification = await verifyRegistrationResponse({ response, ...expected });
const other = await verifyRegistrationResponse({
  response,
  expectedOrigin: settings.origin,
  expectedRPID: settings.rpID,
});
if (!verification.verified || !other.verified) throw new Error('no');
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
