"""Passkeys: settings of the libraries."""

from collections.abc import Callable

import pytest

Mend = Callable[..., str | None]

MENDED = [
    # rule, path, before, after; whole files
    (
        "webauthn-rp-id-validation",
        "Party.kt",
        """\
val party = RelyingParty.builder()
    .identity(identity)
    .credentialRepository(repository)
    .allowOriginPort(true)
    .allowOriginSubdomain(true)
    .validateSignatureCounter(false)
    .build()
""",
        """\
val party = RelyingParty.builder()
    .identity(identity)
    .credentialRepository(repository)
    .allowOriginPort(false)
    .allowOriginSubdomain(false)
    .validateSignatureCounter(true)
    .build()
""",
    ),
    (
        "webauthn-relying-party-config",
        "Party.java",
        """\
class Party {
    RelyingParty make() {
        return RelyingParty.builder()
            .identity(identity)
            .credentialRepository(repository)
            .allowOriginPort(true)
            .build();
    }
}
""",
        """\
class Party {
    RelyingParty make() {
        return RelyingParty.builder()
            .identity(identity)
            .credentialRepository(repository)
            .allowOriginPort(false)
            .build();
    }
}
""",
    ),
    (
        "fido2-untrusted-attestation",
        "Party.kt",
        """\
val party = RelyingParty.builder()
    .identity(identity)
    .credentialRepository(repository)
    .attestationConveyancePreference(AttestationConveyancePreference.DIRECT)
    .attestationTrustSource(roots)
    .allowUntrustedAttestation(true)
    .build()
""",
        """\
val party = RelyingParty.builder()
    .identity(identity)
    .credentialRepository(repository)
    .attestationConveyancePreference(AttestationConveyancePreference.DIRECT)
    .attestationTrustSource(roots)
    .allowUntrustedAttestation(false)
    .build()
""",
    ),
    (
        "webauthn-user-verification-not-required",
        "Options.kt",
        """\
fun start(party: RelyingParty): AssertionRequest = party.startAssertion(
    StartAssertionOptions.builder()
        .userVerification(UserVerificationRequirement.PREFERRED)
        .build()
)

fun options(challenge: String) = PublicKeyOptions(challenge = challenge, userVerification = "discouraged")
""",
        """\
fun start(party: RelyingParty): AssertionRequest = party.startAssertion(
    StartAssertionOptions.builder()
        .userVerification(UserVerificationRequirement.REQUIRED)
        .build()
)

fun options(challenge: String) = PublicKeyOptions(challenge = challenge, userVerification = "required")
""",
    ),
    (
        "webauthn-user-verification-not-required",
        "Verify.java",
        """\
class Verify {
    AuthenticationParameters parameters(ServerProperty server, Authenticator authenticator) {
        return new AuthenticationParameters(server, authenticator, null, false, true);
    }
}
""",
        """\
class Verify {
    AuthenticationParameters parameters(ServerProperty server, Authenticator authenticator) {
        return new AuthenticationParameters(server, authenticator, null, true, true);
    }
}
""",
    ),
    (
        "webauthn-user-verification-not-required",
        "options.ts",
        """\
const options = await generateAuthenticationOptions({
  rpID,
  userVerification: 'preferred',
});
const verification = await verifyAuthenticationResponse({
  response,
  expectedOrigin,
  requireUserVerification: false,
});
""",
        """\
const options = await generateAuthenticationOptions({
  rpID,
  userVerification: 'required',
});
const verification = await verifyAuthenticationResponse({
  response,
  expectedOrigin,
  requireUserVerification: true,
});
""",
    ),
    (
        "webauthn-user-verification-not-required",
        "options.py",
        """\
options = generate_authentication_options(
    rp_id=RP_ID,
    user_verification=UserVerificationRequirement.DISCOURAGED,
)
verification = verify_authentication_response(
    credential=credential, expected_origin=ORIGIN, require_user_verification=False
)
request = server.authenticate_begin(credentials, user_verification="discouraged")
""",
        """\
options = generate_authentication_options(
    rp_id=RP_ID,
    user_verification=UserVerificationRequirement.REQUIRED,
)
verification = verify_authentication_response(
    credential=credential, expected_origin=ORIGIN, require_user_verification=True
)
request = server.authenticate_begin(credentials, user_verification="required")
""",
    ),
    (
        "webauthn-user-verification-not-required",
        "Flags.java",
        """\
class AuthenticatorDataCheck {
    void check(byte[] authData) throws AssertionException {
        if ((authData[32] & 0x01) == 0) {
            throw new AssertionException("user was not present");
        }
    }
}
""",
        """\
class AuthenticatorDataCheck {
    void check(byte[] authData) throws AssertionException {
        if ((authData[32] & 0x01) == 0) {
            throw new AssertionException("user was not present");
        }
        if ((authData[32] & 0x04) == 0) {
            throw new AssertionException("user was not verified");
        }
    }
}
""",
    ),
    (
        "webauthn-user-verification-flag",
        "flags.ts",
        """\
export function check(flags: number) {
  if (!(flags & 0x01)) {
    throw new Error('User not present');
  }
}
""",
        """\
export function check(flags: number) {
  if (!(flags & 0x01)) {
    throw new Error('User not present');
  }
  if (!(flags & 0x04)) {
    throw new Error('User not verified');
  }
}
""",
    ),
    (
        "webauthn-user-verification-flag",
        "flags.py",
        """\
def check(auth_data):
    if not auth_data.flags & 0x01:
        raise ValueError("user not present")
""",
        """\
def check(auth_data):
    if not auth_data.flags & 0x01:
        raise ValueError("user not present")
    if not auth_data.flags & 0x04:
        raise ValueError("user not verified")
""",
    ),
    (
        "webauthn-user-verification-flag",
        "Flags.kt",
        """\
fun check(authData: AuthenticatorData) {
    if (authData.flags.toInt() and 0x01 == 0) throw AssertionException("user presence")
}
""",
        """\
fun check(authData: AuthenticatorData) {
    if (authData.flags.toInt() and 0x01 == 0) throw AssertionException("user presence")
    if (authData.flags.toInt() and 0x04 == 0) throw AssertionException("user verification")
}
""",
    ),
]

LEFT = [
    # what gets no fix: rule, path, text
    (
        "webauthn-relying-party-config",
        "A.kt",
        """\
val party = RelyingParty.builder()
    .identity(identity)
    .allowOriginPort(false)
    .allowUntrustedAttestation(true)
    .build()
""",
    ),
    (
        "webauthn-user-verification",
        "a.ts",
        """\
async function secondFactor(user) {
  return generateAuthenticationOptions({ rpID, userVerification: 'discouraged' });
}

const options = { userVerification: 'required' };
""",
    ),
    (
        "webauthn-user-verification",
        "A.kt",
        """\
fun isLax(options: Options) = options.userVerification == UserVerificationRequirement.PREFERRED
""",
    ),
    (
        "webauthn-user-verification",
        "flags.ts",
        """\
export function check(flags: number) {
  if (!(flags & 0x01)) {
    throw new Error('User not present');
  }
  if (!(flags & 0x04)) {
    throw new Error('User not verified');
  }
  if (options & 0x01) {
    throw new Error('no');
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
