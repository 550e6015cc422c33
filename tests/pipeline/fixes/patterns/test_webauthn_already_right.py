"""What a broad rule reports and the code shows to be right is said to be so, and nothing else."""

import pytest

from secdaemon.pipeline.findings.model import Finding, Severity
from secdaemon.pipeline.fixes.model import Flagged
from secdaemon.pipeline.fixes.patterns.already_right import sound

GCM = "kotlin.lang.security.gcm-detection.gcm-detection"
EXPIRY = "semgrep-rules.webauthn-challenge-storage-without-expiry"
BYPASS = "semgrep-rules.webauthn-credential-validation-bypass"

BOX = """\
class Box(private val key: SecretKey) {
    private val secureRandom = SecureRandom()

    fun seal(message: ByteArray): ByteArray {
        val nonce = ByteArray(12)
        secureRandom.nextBytes(nonce)
        val cipher = Cipher.getInstance("AES/GCM/NoPadding")
        cipher.init(Cipher.ENCRYPT_MODE, key, GCMParameterSpec(128, nonce))
        return nonce + cipher.doFinal(message)
    }

    fun open(sealed: ByteArray): ByteArray {
        val cipher = Cipher.getInstance("AES/GCM/NoPadding")
        cipher.init(Cipher.DECRYPT_MODE, key, GCMParameterSpec(128, sealed, 0, 12))
        return cipher.doFinal(sealed, 12, sealed.size - 12)
    }

    fun byProvider(message: ByteArray): ByteArray {
        val cipher = Cipher.getInstance("AES/GCM/NoPadding")
        cipher.init(Cipher.ENCRYPT_MODE, key)
        return cipher.iv + cipher.doFinal(message)
    }

    fun constant(message: ByteArray): ByteArray {
        val nonce = ByteArray(12)
        val cipher = Cipher.getInstance("AES/GCM/NoPadding")
        cipher.init(Cipher.ENCRYPT_MODE, key, GCMParameterSpec(128, nonce))
        return nonce + cipher.doFinal(message)
    }

    fun manyUnderOne(messages: List<ByteArray>): List<ByteArray> {
        val nonce = ByteArray(12).also { secureRandom.nextBytes(it) }
        return buildList {
            for (message in messages) {
                val cipher = Cipher.getInstance("AES/GCM/NoPadding")
                cipher.init(Cipher.ENCRYPT_MODE, key, GCMParameterSpec(128, nonce))
                add(cipher.doFinal(message))
            }
        }
    }
}
"""
REDIS = """\
class ChallengeStore(private val jedis: Jedis) {
    fun store(id: String, challenge: String) {
        jedis.setex("challenge:$id", 300, challenge)
    }

    fun keep(id: String, challenge: String) {
        jedis.set("challenge:$id", challenge)
    }
}
"""
BUILD = """\
tasks.test {
    systemProperty("spring.profiles", "test")
}
"""
TELEMETRY = """\
fun resource(): Resource = Resource.create(
    Attributes.builder()
        .put(ServiceAttributes.SERVICE_NAME, "passkeys")
        .build()
)
"""
CLIENT = """\
fun clientData(challenge: String): String {
    val data = linkedMapOf<String, String>()
    data.put("challenge", challenge)
    return json.encodeToString(data)
}
"""
TRACED = """\
fun <T> traced(name: String, block: () -> T): T {
    val span = tracer.spanBuilder(name).startSpan()
    return try {
        block()
    } catch (e: Exception) {
        span.recordException(e)
        throw e
    } finally {
        span.end()
    }
}
"""
SWALLOWED = """\
fun <T> traced(name: String, block: () -> T): T? {
    return try {
        block()
    } catch (e: Exception) {
        if (e is IOException) return null
        throw e
    }
}
"""
ROWS = """\
fun find(conn: Connection, id: ByteArray): ByteArray? =
    conn.prepareStatement("SELECT data FROM credentials WHERE id = ?").use { statement ->
        statement.setBytes(1, id)
        val rows = statement.executeQuery()
        if (rows.next()) rows.getBytes("data") else null
    }

fun save(conn: Connection, id: ByteArray) =
    conn.prepareStatement("INSERT INTO credentials VALUES (?)").use { statement ->
        statement.setBytes(1, id)
        statement.executeUpdate()
    }
"""

REPOSITORY = """\
import com.yubico.webauthn.CredentialRepository

class Repository(private val store: Store) : CredentialRepository {
    override fun getUserHandleForUsername(username: String): Optional<ByteArray> {
        return store.findUser(username).map { it.handle }
    }

    override fun lookup(credentialId: ByteArray, userHandle: ByteArray): Optional<RegisteredCredential> {
        return store.find(credentialId).map { it.toRegistered() }
    }
}
"""
REQUESTS = """\
class Requests(private val pool: JedisPool) {
    fun take(id: String): AssertionRequest? = pool.getResource().use { jedis ->
        jedis.getDel("assertion:$id")?.let { AssertionRequest.fromJson(it) }
    }
}
"""

ASIDE = """\
class RequestStore(private val pool: JedisPool) {
    fun store(id: String, request: AssertionRequest, seconds: Long) {
        pool.resource.use { jedis ->
            jedis.setex("request:$id", seconds, mapper.writeValueAsString(request))
        }
    }

    fun take(id: String): AssertionRequest? = pool.resource.use { jedis ->
        val value = jedis.get("request:$id")
        jedis.del("request:$id")
        value?.let { mapper.readValue(it, AssertionRequest::class.java) }
    }

    fun look(id: String): String? = pool.resource.use { jedis -> jedis.get("request:$id") }
}
"""
LOGIN = """\
fun Route.login(party: RelyingParty) {
    post("/login") {
        try {
            val result = party.finishAssertion(options(call.receive()))
            if (result.isSuccess) {
                sessions.open(result.username)
            } else {
                call.respond(HttpStatusCode.Unauthorized)
            }
        } catch (e: AssertionFailedException) {
            call.respond(HttpStatusCode.BadRequest)
        }
    }
    post("/loose") {
        val loose = party.finishAssertion(options(call.receive()))
        sessions.open(loose.username)
    }
}
"""

SOUND = [
    # rule, path, text, first line, last line, words of the sentence
    (GCM, "Box.kt", BOX, 7, 7, "12 new bytes of `SecureRandom`"),
    (GCM, "Box.kt", BOX, 13, 13, "only decrypts here"),
    (GCM, "Box.kt", BOX, 19, 19, "the provider makes a new random nonce"),
    (EXPIRY, "Store.kt", REDIS, 3, 3, "time to live"),
    (EXPIRY, "app/build.gradle.kts", BUILD, 2, 2, "configures the build"),
    (EXPIRY, "Telemetry.kt", TELEMETRY, 2, 4, "telemetry"),
    (EXPIRY, "Client.kt", CLIENT, 3, 3, "only handed back to the caller"),
    (BYPASS, "Tracer.kt", TRACED, 1, 11, "every failure is passed on"),
    (BYPASS, "Tracer.kt", TRACED, 6, 6, "only records what happens"),
    (BYPASS, "Rows.kt", ROWS, 4, 5, "reads from the database"),
    (BYPASS, "Repository.kt", REPOSITORY, 5, 5, "only answers what `RelyingParty` asks"),
    (BYPASS, "Store.kt", ASIDE, 3, 5, "aside for a limited time"),
    (BYPASS, "Store.kt", ASIDE, 8, 12, "taken out and removed"),
    (BYPASS, "Login.kt", LOGIN, 4, 4, "what follows depends on its result"),
    (BYPASS, "Requests.kt", REQUESTS, 3, 3, "takes a stored request out of Redis"),
]
UNCLEAR = [
    # rule, path, text, first line, last line
    (GCM, "Box.kt", BOX, 25, 25),
    (GCM, "Box.kt", BOX, 34, 34),
    (EXPIRY, "Store.kt", REDIS, 7, 7),
    (BYPASS, "Tracer.kt", SWALLOWED, 1, 8),
    (BYPASS, "Rows.kt", ROWS, 9, 12),
    (BYPASS, "Box.kt", BOX, 7, 7),
    (BYPASS, "Repository.kt", REPOSITORY, 9, 9),
    (BYPASS, "Store.kt", ASIDE, 14, 14),
    (BYPASS, "Login.kt", LOGIN, 15, 15),
    ("sql-injection", "Rows.kt", ROWS, 4, 4),
]


def _said(rule: str, path: str, text: str, line: int | None, end_line: int | None) -> str | None:
    finding = Finding(tool="a scanner", rule=rule, severity=Severity.LOW, message="", path=path)
    return sound(finding, Flagged(path=path, text=text, line=line, end_line=end_line, whole=True))


@pytest.mark.parametrize("case", SOUND)
def test_what_the_code_shows_is_said(case: tuple[str, str, str, int, int, str]) -> None:
    """The sentence names the evidence."""
    rule, path, text, line, end_line, words = case
    said = _said(rule, path, text, line, end_line)
    assert said is not None
    assert words in said
    assert said.endswith(".")


@pytest.mark.parametrize("case", UNCLEAR)
def test_what_is_not_certain_is_not_said(case: tuple[str, str, str, int, int]) -> None:
    """A reused nonce, a store without a time, a swallowed failure and a write are no false alarm."""
    assert _said(*case) is None


def test_a_finding_of_a_whole_file_gets_none() -> None:
    """Where no line is named, nothing is certain."""
    assert _said(GCM, "Box.kt", BOX, None, None) is None
