"""Java and Kotlin: hashes, ciphers, keys and TLS versions."""

from collections.abc import Callable

import pytest

Mend = Callable[..., str | None]

MENDED = [
    # rule, path, before, after; whole files
    (
        "kotlin.lang.security.use-of-md5",
        "Sums.kt",
        """\
import java.security.MessageDigest

fun sum(bytes: ByteArray): ByteArray = MessageDigest.getInstance("MD5").digest(bytes)
""",
        """\
import java.security.MessageDigest

fun sum(bytes: ByteArray): ByteArray = MessageDigest.getInstance("SHA-256").digest(bytes)
""",
    ),
    (
        "java.lang.security.audit.crypto.use-of-sha1",
        "Sums.java",
        """\
class Sums {
    byte[] sum(byte[] bytes) throws NoSuchAlgorithmException {
        return MessageDigest.getInstance("SHA-1").digest(bytes);
    }

    String hex(byte[] bytes) {
        return DigestUtils.md5Hex(bytes) + Hashing.sha1().hashBytes(bytes);
    }
}
""",
        """\
class Sums {
    byte[] sum(byte[] bytes) throws NoSuchAlgorithmException {
        return MessageDigest.getInstance("SHA-256").digest(bytes);
    }

    String hex(byte[] bytes) {
        return DigestUtils.sha256Hex(bytes) + Hashing.sha256().hashBytes(bytes);
    }
}
""",
    ),
    (
        "weak-signature",
        "Keys.java",
        """\
class Keys {
    Signature signer() throws GeneralSecurityException {
        return Signature.getInstance("SHA1withRSA");
    }
}
""",
        """\
class Keys {
    Signature signer() throws GeneralSecurityException {
        return Signature.getInstance("SHA256withRSA");
    }
}
""",
    ),
    (
        "use-of-weak-rsa-key",
        "Keys.java",
        """\
class Keys {
    KeyPair pair() throws GeneralSecurityException {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
        generator.initialize(1024);
        return generator.generateKeyPair();
    }
}
""",
        """\
class Keys {
    KeyPair pair() throws GeneralSecurityException {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
        generator.initialize(3072);
        return generator.generateKeyPair();
    }
}
""",
    ),
    (
        "weak-ec-curve",
        "Keys.kt",
        """\
fun pair(): KeyPair = KeyPairGenerator.getInstance("EC").run {
    initialize(ECGenParameterSpec("secp192r1"))
    generateKeyPair()
}
""",
        """\
fun pair(): KeyPair = KeyPairGenerator.getInstance("EC").run {
    initialize(ECGenParameterSpec("secp256r1"))
    generateKeyPair()
}
""",
    ),
    (
        "pbkdf2-low-iterations",
        "Keys.kt",
        """\
private const val ROUNDS = 10_000

fun key(secret: CharArray, salt: ByteArray): SecretKey {
    val spec = PBEKeySpec(secret, salt, ROUNDS, 256)
    return SecretKeyFactory.getInstance("PBKDF2WithHmacSHA256").generateSecret(spec)
}
""",
        """\
private const val ROUNDS = 600_000

fun key(secret: CharArray, salt: ByteArray): SecretKey {
    val spec = PBEKeySpec(secret, salt, ROUNDS, 256)
    return SecretKeyFactory.getInstance("PBKDF2WithHmacSHA256").generateSecret(spec)
}
""",
    ),
    (
        "java.lang.security.audit.weak-ssl-context",
        "Tls.java",
        """\
class Tls {
    SSLContext context() throws NoSuchAlgorithmException {
        return SSLContext.getInstance("TLSv1.1");
    }

    void only(SSLSocket socket) {
        socket.setEnabledProtocols(new String[] {"TLSv1", "TLSv1.2", "TLSv1.3"});
    }
}
""",
        """\
class Tls {
    SSLContext context() throws NoSuchAlgorithmException {
        return SSLContext.getInstance("TLSv1.3");
    }

    void only(SSLSocket socket) {
        socket.setEnabledProtocols(new String[] {"TLSv1.2", "TLSv1.3"});
    }
}
""",
    ),
    (
        "weak-ssl-context",
        "Tls.kt",
        """\
import android.os.Build

fun context(): SSLContext = SSLContext.getInstance("SSL")
""",
        """\
import android.os.Build

fun context(): SSLContext = SSLContext.getInstance("TLSv1.2")
""",
    ),
    (
        "java.lang.security.audit.crypto.ecb-cipher.ecb-cipher",
        "Vault.kt",
        """\
class Vault(private val key: SecretKey) {
    fun seal(plain: ByteArray): ByteArray {
        val cipher = Cipher.getInstance("AES/ECB/PKCS5Padding")
        cipher.init(Cipher.ENCRYPT_MODE, key)
        return cipher.doFinal(plain)
    }

    fun open(sealed: ByteArray): ByteArray {
        val cipher = Cipher.getInstance("AES/ECB/PKCS5Padding")
        cipher.init(Cipher.DECRYPT_MODE, key)
        return cipher.doFinal(sealed)
    }
}
""",
        """\
import javax.crypto.spec.GCMParameterSpec

class Vault(private val key: SecretKey) {
    fun seal(plain: ByteArray): ByteArray {
        val cipher = Cipher.getInstance("AES/GCM/NoPadding")
        cipher.init(Cipher.ENCRYPT_MODE, key)
        return cipher.iv + cipher.doFinal(plain)
    }

    fun open(sealed: ByteArray): ByteArray {
        val cipher = Cipher.getInstance("AES/GCM/NoPadding")
        cipher.init(Cipher.DECRYPT_MODE, key, GCMParameterSpec(128, sealed, 0, 12))
        return cipher.doFinal(sealed, 12, sealed.size - 12)
    }
}
""",
    ),
    (
        "static-iv",
        "Vault.java",
        """\
import javax.crypto.Cipher;

class Vault {
    String seal(SecretKey key, String text) throws GeneralSecurityException {
        Cipher cipher = Cipher.getInstance("AES/CBC/PKCS5Padding");
        cipher.init(Cipher.ENCRYPT_MODE, key, new IvParameterSpec(new byte[16]));
        return Base64.getEncoder().encodeToString(cipher.doFinal(text.getBytes()));
    }

    String open(SecretKey key, String text) throws GeneralSecurityException {
        Cipher cipher = Cipher.getInstance("AES/CBC/PKCS5Padding");
        cipher.init(Cipher.DECRYPT_MODE, key, new IvParameterSpec(new byte[16]));
        return new String(cipher.doFinal(Base64.getDecoder().decode(text)));
    }
}
""",
        """\
import java.nio.ByteBuffer;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;

class Vault {
    String seal(SecretKey key, String text) throws GeneralSecurityException {
        Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
        cipher.init(Cipher.ENCRYPT_MODE, key);
        byte[] nonce = cipher.getIV();
        byte[] sealed = cipher.doFinal(text.getBytes());
        return Base64.getEncoder().encodeToString(ByteBuffer.allocate(nonce.length + sealed.length).put(nonce).put(sealed).array());
    }

    String open(SecretKey key, String text) throws GeneralSecurityException {
        Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
        byte[] sealed = Base64.getDecoder().decode(text);
        cipher.init(Cipher.DECRYPT_MODE, key, new GCMParameterSpec(128, sealed, 0, 12));
        return new String(cipher.doFinal(sealed, 12, sealed.length - 12));
    }
}
""",
    ),
]

LEFT = [
    (
        "weak-hash-md5",
        "Digests.kt",
        """\
fun md5(data: ByteArray): ByteArray = MessageDigest.getInstance("MD5").digest(data)
""",
    ),
    (
        "weak-hash-md5",
        "Digests.java",
        """\
class Digests {
    byte[] of(byte[] data) throws Exception {
        byte[] sha1 = MessageDigest.getInstance("SHA-1").digest(data);
        return sha1;
    }
}
""",
    ),
    (
        "weak-hash-md5",
        "Keys.java",
        """\
class Keys {
    Key of(byte[] seed) throws Exception {
        return new SecretKeySpec(MessageDigest.getInstance("MD5").digest(seed), "AES");
    }
}
""",
    ),
    # what gets no fix: rule, path, text
    (
        "use-of-md5",
        "A.kt",
        """\
fun stored(password: ByteArray): ByteArray = MessageDigest.getInstance("MD5").digest(password)
""",
    ),
    (
        "use-of-sha1",
        "A.java",
        """\
class A {
    byte[] accept(String key) throws NoSuchAlgorithmException {
        return MessageDigest.getInstance("SHA-1").digest((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").getBytes());
    }
}
""",
    ),
    (
        "use-of-md5",
        "A.kt",
        """\
fun sum(bytes: ByteArray): ByteArray = MessageDigest.getInstance("SHA-256").digest(bytes)
""",
    ),
    (
        "use-of-md5",
        "A.kt",
        """\
fun sum(name: String, bytes: ByteArray): ByteArray = MessageDigest.getInstance(name).digest(bytes)
""",
    ),
    (
        "weak-rsa-key",
        "A.kt",
        """\
fun pair() = KeyPairGenerator.getInstance("RSA").apply { initialize(2048) }.generateKeyPair()
""",
    ),
    (
        "weak-rsa-key",
        "A.kt",
        """\
fun start(view: View) = view.initialize(16)
""",
    ),
    (
        "pbkdf2",
        "A.kt",
        """\
fun key(secret: CharArray, salt: ByteArray) =
    SecretKeyFactory.getInstance("PBKDF2WithHmacSHA256").generateSecret(PBEKeySpec(secret, salt, 600_000, 256))
""",
    ),
    (
        "weak-ssl-context",
        "A.kt",
        """\
fun context() = SSLContext.getInstance("TLSv1.2")
""",
    ),
    (
        "ecb-cipher",
        "A.kt",
        """\
class Sealer(private val key: SecretKey) {
    fun seal(plain: ByteArray): ByteArray {
        val cipher = Cipher.getInstance("AES/ECB/PKCS5Padding")
        cipher.init(Cipher.ENCRYPT_MODE, key)
        return cipher.doFinal(plain)
    }
}
""",
    ),
    (
        "ecb-cipher",
        "A.java",
        """\
class Streams {
    void seal(InputStream plain, OutputStream out) throws Exception {
        Cipher cipher = Cipher.getInstance("AES/CBC/PKCS5Padding");
        cipher.init(Cipher.ENCRYPT_MODE, key, new IvParameterSpec(new byte[16]));
        plain.transferTo(new CipherOutputStream(out, cipher));
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
