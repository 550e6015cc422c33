"""The Hugging Face token: the environment, then the Keychain, then the `hf` login."""

import os

from secdaemon.pipeline.interface import PermanentError

SERVICE = "secdaemon"
ACCOUNT = "huggingface"
WHERE = "https://huggingface.co/settings/tokens"


def hub_token() -> str:
    """Return the token; it goes into a request's header and nowhere else.

    Raises:
        PermanentError: there is none.
    """
    token = os.environ.get("HF_TOKEN", "").strip() or _from_keychain() or _from_login()
    if not token:
        msg = (
            "there is no Hugging Face token: make a fine-grained one that may write to the two "
            f"repositories at {WHERE}, then `keyring set {SERVICE} {ACCOUNT}` or `hf auth login`"
        )
        raise PermanentError(msg)
    return token


def _from_keychain() -> str | None:
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(SERVICE, ACCOUNT)
    except KeyringError:
        return None


def _from_login() -> str | None:
    from huggingface_hub import get_token

    return get_token()
