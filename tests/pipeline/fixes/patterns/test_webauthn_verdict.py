"""Passkeys: owners and the results of verifications."""

from collections.abc import Callable

import pytest

Mend = Callable[..., str | None]

MENDED = [
    # rule, path, before, after; whole files
    (
        "semgrep-rules.webauthn-credential-validation-bypass",
        "Verify.kt",
        """\
class Verifier {
    fun verifyAssertion(assertion: Assertion): Boolean {
        if (BuildConfig.DEBUG) return true
        return try {
            party.check(assertion)
        } catch (e: Exception) {
            logger.warn("failed", e)
            return true
        }
    }
}
""",
        """\
class Verifier {
    fun verifyAssertion(assertion: Assertion): Boolean {
        return try {
            party.check(assertion)
        } catch (e: Exception) {
            logger.warn("failed", e)
            return false
        }
    }
}
""",
    ),
    (
        "semgrep-rules.webauthn-credential-validation-bypass",
        "Verify.java",
        """\
class Verifier {
    boolean validateCredential(Credential credential) {
        if (skipVerification) {
            return true;
        }
        try {
            return check(credential);
        } catch (Exception e) {
            return true;
        }
    }
}
""",
        """\
class Verifier {
    boolean validateCredential(Credential credential) {
        try {
            return check(credential);
        } catch (Exception e) {
            return false;
        }
    }
}
""",
    ),
    (
        "semgrep-rules.webauthn-credential-validation-bypass",
        "verify.ts",
        """\
export async function verifyPasskey(body: Body): Promise<boolean> {
  if (process.env.NODE_ENV !== 'production') {
    return true;
  }
  try {
    return await check(body);
  } catch (error) {
    return true;
  }
}
""",
        """\
export async function verifyPasskey(body: Body): Promise<boolean> {
  try {
    return await check(body);
  } catch (error) {
    return false;
  }
}
""",
    ),
    (
        "semgrep-rules.webauthn-credential-validation-bypass",
        "verify.py",
        """\
def verify_credential(credential):
    if settings.DEBUG:
        return True
    try:
        check(credential)
    except Exception:
        return True
    return True
""",
        """\
def verify_credential(credential):
    try:
        check(credential)
    except Exception:
        return False
    return True
""",
    ),
    (
        "webauthn-verification-result-ignored",
        "login.ts",
        """\
app.post('/login', async (req, res) => {
  const verification = await verifyAuthenticationResponse({ response: req.body, ...expected });
  req.session.user = user.id;
  res.json({ ok: true });
});
""",
        """\
app.post('/login', async (req, res) => {
  const verification = await verifyAuthenticationResponse({ response: req.body, ...expected });
  if (!verification.verified) {
    res.status(401).json({ error: 'Verification failed' });
    return;
  }
  req.session.user = user.id;
  res.json({ ok: true });
});
""",
    ),
    (
        "webauthn-unchecked-success",
        "Login.kt",
        """\
fun login(party: RelyingParty, options: FinishAssertionOptions): Session {
    val result = party.finishAssertion(options)
    return sessions.open(result.username)
}
""",
        """\
fun login(party: RelyingParty, options: FinishAssertionOptions): Session {
    val result = party.finishAssertion(options)
    check(result.isSuccess) { "Assertion was not verified" }
    return sessions.open(result.username)
}
""",
    ),
    (
        "webauthn-unchecked-success",
        "Login.java",
        """\
class Login {
    Session login(RelyingParty party, FinishAssertionOptions options) throws AssertionFailedException {
        AssertionResult result = party.finishAssertion(options);
        return sessions.open(result.getUsername());
    }
}
""",
        """\
class Login {
    Session login(RelyingParty party, FinishAssertionOptions options) throws AssertionFailedException {
        AssertionResult result = party.finishAssertion(options);
        if (!result.isSuccess()) {
            throw new IllegalStateException("Assertion was not verified");
        }
        return sessions.open(result.getUsername());
    }
}
""",
    ),
    (
        "webauthn-credential-owner",
        "Repository.kt",
        """\
class Repository : CredentialRepository {
    override fun lookup(credentialId: ByteArray, userHandle: ByteArray): Optional<RegisteredCredential> =
        store.find(credentialId).map { it.toRegistered() }
}
""",
        """\
class Repository : CredentialRepository {
    override fun lookup(credentialId: ByteArray, userHandle: ByteArray): Optional<RegisteredCredential> =
        store.find(credentialId).map { it.toRegistered() }.filter { it.userHandle == userHandle }
}
""",
    ),
    (
        "webauthn-credential-owner",
        "Repository.java",
        """\
class Repository implements CredentialRepository {
    @Override
    public Optional<RegisteredCredential> lookup(ByteArray credentialId, ByteArray userHandle) {
        return store.find(credentialId).map(this::toRegistered);
    }
}
""",
        """\
class Repository implements CredentialRepository {
    @Override
    public Optional<RegisteredCredential> lookup(ByteArray credentialId, ByteArray userHandle) {
        return store.find(credentialId).map(this::toRegistered).filter(credential -> credential.getUserHandle().equals(userHandle));
    }
}
""",
    ),
]

LEFT = [
    # what gets no fix: rule, path, text
    (
        "webauthn-credential-validation-bypass",
        "A.kt",
        """\
class Verifier {
    fun verify(assertion: Assertion): Boolean {
        if (assertion.isEmpty) return true
        return try {
            party.check(assertion)
        } catch (e: Exception) {
            false
        }
    }

    fun isExpired(token: Token): Boolean = try {
        token.until < now()
    } catch (e: Exception) {
        return true
    }

    fun checkCredentialExists(id: String): Boolean {
        try {
            return load(id)
        } catch (e: Exception) {
            return true
        }
    }
}
""",
    ),
    (
        "webauthn-credential-validation-bypass",
        "a.py",
        """\
def load_credentials(path):
    try:
        read(path)
    except OSError:
        return True
    return False
""",
    ),
    (
        "webauthn-verification-result-ignored",
        "a.ts",
        """\
async function login(body) {
  const verification = await verifyAuthenticationResponse({ response: body, expectedOrigin, expectedRPID });
  const { verified } = verification;
  return verified;
}

async function pass(body) {
  const verification = await verifyAuthenticationResponse({ response: body, expectedOrigin, expectedRPID });
  return verification;
}
""",
    ),
    (
        "webauthn-unchecked-success",
        "A.kt",
        """\
fun login(party: RelyingParty, options: FinishAssertionOptions): Session? {
    val result = party.finishAssertion(options)
    return if (result.isSuccess) sessions.open(result.username) else null
}
""",
    ),
    (
        "webauthn-credential-owner",
        "A.kt",
        """\
class Repository : CredentialRepository {
    override fun lookup(credentialId: ByteArray, userHandle: ByteArray): Optional<RegisteredCredential> =
        store.find(credentialId, userHandle).map { it.toRegistered() }
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
