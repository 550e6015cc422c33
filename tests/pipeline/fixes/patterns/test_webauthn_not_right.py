"""Weak code that looks right is never called right: the flagged lines end with `<<`."""

import pytest

from secdaemon.pipeline.findings.model import Finding, Severity
from secdaemon.pipeline.fixes.model import Flagged
from secdaemon.pipeline.fixes.patterns.already_right import sound

GCM = "kotlin.lang.security.gcm-detection.gcm-detection"
EXPIRY = "semgrep-rules.webauthn-challenge-storage-without-expiry"
BYPASS = "semgrep-rules.webauthn-credential-validation-bypass"
WEAK = [
    # rule, path, text
    (
        GCM,
        "A.kt",
        """\
class A(val k: SecretKey) {
  private val random = SecureRandom()
  fun all(ms: List<ByteArray>): List<ByteArray> {
    val iv = ByteArray(12)
    random.nextBytes(iv)
    return ms.map { m ->
      val c = Cipher.getInstance("AES/GCM/NoPadding")
      c.init(Cipher.ENCRYPT_MODE, k, GCMParameterSpec(128, iv)) <<
      iv + c.doFinal(m)
    }
  }
}
""",
    ),
    (
        GCM,
        "A.kt",
        """\
class A(val k: SecretKey) {
  private val random = Random(42)
  fun one(m: ByteArray): ByteArray {
    val iv = ByteArray(12)
    random.nextBytes(iv)
    val c = Cipher.getInstance("AES/GCM/NoPadding")
    c.init(Cipher.ENCRYPT_MODE, k, GCMParameterSpec(128, iv)) <<
    return iv + c.doFinal(m)
  }
  fun other() { val random = SecureRandom() }
}
""",
    ),
    (
        GCM,
        "A.kt",
        """\
class A(val k: SecretKey) {
  private val random = SecureRandom()
  fun one(m: ByteArray, fresh: Boolean): ByteArray {
    val iv = ByteArray(12)
    if (fresh) { random.nextBytes(iv) }
    val c = Cipher.getInstance("AES/GCM/NoPadding")
    c.init(Cipher.ENCRYPT_MODE, k, GCMParameterSpec(128, iv)) <<
    return iv + c.doFinal(m)
  }
}
""",
    ),
    (
        GCM,
        "A.kt",
        """\
class A(val k: SecretKey) {
  private val random = SecureRandom()
  fun one(m: ByteArray): ByteArray {
    val iv = ByteArray(12)
    random.nextBytes(iv)
    FIXED.copyInto(iv)
    val c = Cipher.getInstance("AES/GCM/NoPadding")
    c.init(Cipher.ENCRYPT_MODE, k, GCMParameterSpec(128, iv)) <<
    return iv + c.doFinal(m)
  }
}
""",
    ),
    (
        GCM,
        "A.java",
        """\
class A { SecureRandom random = new SecureRandom(new byte[]{1});
  byte[] one(byte[] m) throws Exception {
    byte[] iv = new byte[12];
    random.nextBytes(iv);
    Cipher c = Cipher.getInstance("AES/GCM/NoPadding");
    c.init(Cipher.ENCRYPT_MODE, k, new GCMParameterSpec(128, iv)); <<
    return c.doFinal(m);
  }
}
""",
    ),
    (
        GCM,
        "A.java",
        """\
class A { SecureRandom random = new SecureRandom(); static final int IV_BYTES = 4;
  byte[] one(byte[] m) throws Exception {
    byte[] iv = new byte[IV_BYTES];
    random.nextBytes(iv);
    Cipher c = Cipher.getInstance("AES/GCM/NoPadding");
    c.init(Cipher.ENCRYPT_MODE, k, new GCMParameterSpec(128, iv)); <<
    return c.doFinal(m);
  }
}
""",
    ),
    (
        GCM,
        "A.java",
        """\
class A { SecureRandom random = new SecureRandom();
  byte[] one(byte[] m) throws Exception {
    byte[] iv = new byte[12];
    random.nextBytes(iv);
    iv = FIXED;
    Cipher c = Cipher.getInstance("AES/GCM/NoPadding");
    c.init(Cipher.ENCRYPT_MODE, k, new GCMParameterSpec(128, iv)); <<
    return c.doFinal(m);
  }
}
""",
    ),
    (
        GCM,
        "A.java",
        """\
class A { static final byte[] IV = "123456789012".getBytes();
  byte[] open(byte[] m) throws Exception {
    Cipher c = Cipher.getInstance("AES/GCM/NoPadding");
    c.init(Cipher.DECRYPT_MODE, k, new GCMParameterSpec(128, IV)); <<
    return c.doFinal(m);
  }
}
""",
    ),
    (
        EXPIRY,
        "A.kt",
        """\
fun s(jedis: Jedis, c: String) {
  jedis.setex("challenge", 31536000, c) <<
}
""",
    ),
    (
        EXPIRY,
        "A.kt",
        """\
fun s(jedis: Jedis, c: String) {
  jedis.setex("challenge", -1, c) <<
}
""",
    ),
    (
        EXPIRY,
        "A.kt",
        """\
const val TTL = 0L
fun s(jedis: Jedis, c: String) {
  jedis.setex("challenge", TTL, c) <<
}
""",
    ),
    (
        EXPIRY,
        "A.kt",
        """\
fun s(redis: StringRedisTemplate, c: String) {
  redis.opsForValue().set("challenge", c, Duration.ofDays(365)) <<
}
""",
    ),
    (
        EXPIRY,
        "A.kt",
        """\
fun s(redis: StringRedisTemplate, c: String) {
  redis.opsForValue().set("challenge", c + Duration.ofSeconds(3)) <<
}
""",
    ),
    (
        EXPIRY,
        "a.ts",
        """\
import Redis from 'ioredis';
async function s(c) {
  await redis.set("challenge", c, 'EX', 0); <<
}
""",
    ),
    (
        EXPIRY,
        "a.py",
        """\
def s(r, c):
    r.set("challenge", c, ex=None) <<

""",
    ),
    (
        EXPIRY,
        "A.kt",
        """\
fun s(jedis: Jedis, c: String) {
  jedis.setex("hint", 30, c) <<
  challenges.put(id, c) <<
}
""",
    ),
    (
        EXPIRY,
        "A.kt",
        """\
fun s(jedis: Jedis, c: String) {
  jedis.setex("challenge", 300, c) <<
  jedis.persist("challenge")
}
""",
    ),
    (
        EXPIRY,
        "A.kt",
        """\
fun begin(id: String, challenge: String) {
  val data = HashMap<String, String>()
  data.put("challenge", challenge) <<
  redis.set(id, json(data))
}
""",
    ),
    (
        EXPIRY,
        "A.kt",
        """\
fun begin(id: String, challenge: String) {
  val data = HashMap<String, String>()
  data.put("challenge", challenge) <<
  pending[id] = data
}
""",
    ),
    (
        EXPIRY,
        "A.kt",
        """\
fun begin(id: String, challenge: String) {
  val data = Registry.pendingHashMap
  data.put("challenge", challenge) <<
}
""",
    ),
    (
        EXPIRY,
        "A.kt",
        """\
fun begin(id: String, challenge: String) {
  val data = mapOfChallenges()
  data.put("challenge", challenge) <<
}
""",
    ),
    (
        EXPIRY,
        "A.kt",
        """\
fun begin(id: String, challenge: String) {
  redis.set(
    id,
    JSONObject().put("challenge", challenge).toString(), <<
  )
}
""",
    ),
    (
        EXPIRY,
        "A.kt",
        """\
fun Route.x() { get("/") {
   attributes.put(KEY, random) <<
}}
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
fun finish(r: R): User {
  try { <<
    val result = party.finishAssertion(r) <<
    return sessions.open(result.username) <<
  } catch (e: AssertionFailedException) { <<
    throw Unauthorized() <<
  } <<
}
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
fun finish(r: R, signature: Signature): User {
  try { <<
    if (signature.verify(r.sig)) log.info("fine") <<
  } catch (e: Exception) { <<
    throw e <<
  } <<
  return sessions.open(r.user)
}
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
fun <T> run(block: () -> T): T? {
  try {
    return try { <<
      block() <<
    } catch (e: Exception) { <<
      throw e <<
    } <<
  } catch (e: Exception) { return null }
}
""",
    ),
    (
        BYPASS,
        "A.java",
        """\
class A { Object run(Supplier<Object> block) {
    try { <<
      return block.get(); <<
    } catch (RuntimeException e) { <<
      throw e; <<
    } finally { <<
      return cached; <<
    } <<
}}
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
fun finish(r: R) {
  if (!result.isSuccess) {
    logger.warn("bad assertion") <<
  }
  sessions.open(r.user)
}
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
fun finish(r: R) {
  try { party.finishAssertion(r) } catch (e: Exception) {
    logger.warn("bad assertion") <<
  }
  sessions.open(r.user)
}
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
fun finish(r: R) {
  call.attributes.put(UserKey, user) <<
}
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
fun signIn(r: Request): String {
  val body = r.json()
  return body.getString("username") <<
}
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
fun isCredentialValid(c: Connection, id: String): Boolean =
  c.prepareStatement("SELECT 1 FROM credentials WHERE id = ?").use { st ->
    st.setString(1, id)
    st.executeQuery().use { rs -> <<
      rs.next() <<
    } <<
  }
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
fun authenticate(c: Connection, id: String): String? =
  c.prepareStatement("SELECT username FROM credentials WHERE id = ?").use { st ->
    st.setString(1, id)
    val rs = st.executeQuery() <<
    if (rs.next()) rs.getString("username") else null <<
  }
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
fun find(c: Connection, id: String): String? =
  c.prepareStatement("SELECT username FROM credentials WHERE id = ?").use { st ->
    st.setString(1, id)
    val rs = st.executeQuery() <<
    if (rs.next()) sessions.open(rs.getString("username")) else null
  }
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
fun login(jedis: Jedis, user: String) {
  jedis.setex("session:$user", 300, token) <<
}
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
fun take(jedis: Jedis, id: String): String? {
  val request = jedis.get("request:$id") <<
  jedis.del("other:$id") <<
  return request
}
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
import com.yubico.webauthn.RelyingParty
fun finish(party: RelyingParty): User? {
  val result = party.finishAssertion(o) <<
  if (!result.isSuccess) { return guest }
  return null
}
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
import com.yubico.webauthn.RelyingParty
fun finish(party: RelyingParty): User? {
  val result = party.finishAssertion(o) <<
  sessions.open(result.username)
  if (!result.isSuccess) { throw Unauthorized() }
  return null
}
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
import com.yubico.webauthn.RelyingParty
suspend fun finish(party: RelyingParty) {
  val result = party.finishAssertion(o) <<
  if (result.isSuccess) { log.info("ok") } else { call.respond(HttpStatusCode.Unauthorized) }
  sessions.open(result.username)
}
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
import com.yubico.webauthn.RelyingParty
suspend fun finish(party: RelyingParty) {
  try {
    val result = party.finishAssertion(o) <<
    if (!result.isSuccess) { throw Bad() }
  } catch (e: Exception) {
    if (strict) throw e
  }
  sessions.open(user)
}
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
import com.yubico.webauthn.RelyingParty
suspend fun finish(party: RelyingParty) {
  try {
    val result = party.finishAssertion(o) <<
    if (!result.isSuccess) { throw Bad() }
  } catch (e: Exception) {
    call.respond(HttpStatusCode.BadRequest)
  }
  sessions.open(user)
}
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
import com.yubico.webauthn.RelyingParty
suspend fun finish(party: RelyingParty) {
  val result = party.finishAssertion(o) <<
  if (result.isSuccess) { throw Bad() } else { sessions.open(user) }
}
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
import com.yubico.webauthn.RelyingParty
suspend fun finish(party: RelyingParty) {
  val result = party.finishAssertion(o) <<
  if (result.isSuccess || debug) { sessions.open(user) } else { throw Bad() }
}
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
import com.yubico.webauthn.*
class R : CredentialRepository {
  override fun lookup(credentialId: ByteArray, userHandle: ByteArray): Optional<RegisteredCredential> {
    log.info(userHandle)
    return store.find(credentialId) <<
  }
}
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
fun verify(c: C): String {
  return json.writeValueAsString(c) <<
}
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
import com.yubico.webauthn.RelyingParty
fun finish(party: RelyingParty): User? {
  runCatching {
    val result = party.finishAssertion(o) <<
    if (!result.isSuccess) { throw Unauthorized() }
  }
  return sessions.open(user)
}
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
import com.yubico.webauthn.RelyingParty
suspend fun finish(party: RelyingParty) {
  try {
    val result = party.finishAssertion(o) <<
    if (!result.isSuccess) { return }
  } finally { sessions.open(user) }
}
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
import com.yubico.webauthn.RelyingParty
suspend fun finish(party: RelyingParty) {
  for (o in options) {
    val result = party.finishAssertion(o) <<
    if (result.isSuccess) { open() } else { call.respond(HttpStatusCode.Unauthorized) }
  }
}
""",
    ),
    (
        BYPASS,
        "A.java",
        """\
import com.yubico.webauthn.RelyingParty;
class A { User finish(RelyingParty party) {
  try {
    AssertionResult result = party.finishAssertion(o); <<
    if (!result.isSuccess()) { throw new Bad(); }
  } catch (Bad e) { return guest; }
  return user;
} }
""",
    ),
    (
        BYPASS,
        "A.java",
        """\
import com.yubico.webauthn.RelyingParty;
class A { boolean finish(RelyingParty party) {
    AssertionResult result = party.finishAssertion(o); <<
    if (!result.isSuccess()) return true;
    return false;
} }
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
fun <T> guard(block: () -> T): T? = try { <<
    block() <<
  } catch (e: SecurityException) { <<
    throw e <<
  } catch (e: Exception) { <<
    null <<
  } <<
""",
    ),
    (
        BYPASS,
        "A.py",
        """\
def guard(fn):
    try: <<
        return fn() <<
    except ValueError: <<
        raise <<
    except Exception: <<
        pass <<
""",
    ),
    (
        BYPASS,
        "a.ts",
        """\
export async function guard(fn) {
  try { <<
    await fn(); <<
  } catch (e) { <<
    if (e instanceof X) { res.json({}); } else { throw e; } <<
  } <<
}
""",
    ),
    (
        GCM,
        "A.kt",
        """\
class A(val k: SecretKey, val nonceSource: NonceSource) {
  private val iv = ByteArray(12).also { SecureRandom().nextBytes(it) }
  fun one(m: ByteArray): ByteArray {
    val c = Cipher.getInstance("AES/GCM/NoPadding")
    c.init(Cipher.ENCRYPT_MODE, k, GCMParameterSpec(128, iv)) <<
    return iv + c.doFinal(m)
  }
}
""",
    ),
    (
        GCM,
        "A.kt",
        """\
class A(val k: SecretKey) {
  fun one(m: ByteArray): ByteArray {
    val iv = ByteArray(12).also { SecureRandom().nextBytes(it); it[0] = 1; it.fill(0) }
    val c = Cipher.getInstance("AES/GCM/NoPadding")
    c.init(Cipher.ENCRYPT_MODE, k, GCMParameterSpec(128, iv)) <<
    return iv + c.doFinal(m)
  }
}
""",
    ),
    (
        GCM,
        "A.kt",
        """\
class A(val k: SecretKey) {
  fun one(m: ByteArray): ByteArray {
    val iv = ByteArray(12).also { if (fresh) SecureRandom().nextBytes(it) }
    val c = Cipher.getInstance("AES/GCM/NoPadding")
    c.init(Cipher.ENCRYPT_MODE, k, GCMParameterSpec(128, iv)) <<
    return iv + c.doFinal(m)
  }
}
""",
    ),
    (
        GCM,
        "A.kt",
        """\
class A(val k: SecretKey) {
  fun open(m: ByteArray): ByteArray {
    val iv = Base64.decode(FIXED_IV)
    val c = Cipher.getInstance("AES/GCM/NoPadding")
    c.init(Cipher.DECRYPT_MODE, k, GCMParameterSpec(128, iv)) <<
    return c.doFinal(m)
  }
}
""",
    ),
    (
        GCM,
        "A.java",
        """\
class A { byte[] one(byte[] m, SecureRandom random) throws Exception {
    byte[] iv = new byte[12], other = new byte[12];
    random.nextBytes(other);
    Cipher c = Cipher.getInstance("AES/GCM/NoPadding");
    c.init(Cipher.ENCRYPT_MODE, k, new GCMParameterSpec(128, iv)); <<
    return c.doFinal(m);
} }
""",
    ),
    (
        EXPIRY,
        "A.kt",
        """\
fun begin(id: String, challenge: String): Map<String, String> {
  val data = linkedMapOf<String, String>()
  data.put("challenge", challenge) <<
  holder.current = data
  return data
}
""",
    ),
    (
        EXPIRY,
        "A.kt",
        """\
fun begin(id: String, challenge: String) {
  val data = JSONObject()
  data.put("challenge", challenge) <<
  prefs.edit().putString("c", data.toString()).apply()
}
""",
    ),
    (
        EXPIRY,
        "A.kt",
        """\
fun begin(id: String, challenge: String) {
  val data = JSONObject()
  data.put("challenge", challenge) <<
  File("x").writeText(data.toString())
}
""",
    ),
    (
        EXPIRY,
        "A.kt",
        """\
fun begin(id: String, challenge: String) {
  val data = HashMap<String, String>()
  data.put("challenge", challenge) <<
  ALL += data
}
""",
    ),
    (
        BYPASS,
        "A.kt",
        """\
fun findUser(jedis: Jedis, id: String): User? {
  val request = jedis.getDel("request:$id") <<
  return sessions.get(request)
}
""",
    ),
]


@pytest.mark.parametrize(("rule", "path", "text"), WEAK)
def test_weak_code_is_not_called_right(rule: str, path: str, text: str) -> None:
    """A nonce that is reused, a time that is no limit, a verdict that is lost: nothing is said."""
    rows = text.split("\n")
    lines = [number for number, row in enumerate(rows, 1) if row.rstrip().endswith("<<")]
    plain = "\n".join(row.rstrip().removesuffix("<<").rstrip() for row in rows)
    finding = Finding(tool="a scanner", rule=rule, severity=Severity.LOW, message="", path=path)
    flagged = Flagged(path=path, text=plain, line=lines[0], end_line=lines[-1], whole=True)
    assert sound(finding, flagged) is None


TIMED = [
    # path, line with the store, the rest of the file
    (
        "Store.kt",
        'jedis.setex("challenge", TTL_SECONDS, challenge)',
        "const val TTL_SECONDS = 5 * 60L",
    ),
    ("Store.kt", 'jedis.setex("challenge", ttlSeconds, challenge)', ""),
    ("Store.kt", 'jedis.set("challenge", challenge, SetParams().ex(300))', ""),
    ("Store.kt", 'redis.opsForValue().set("challenge", challenge, Duration.ofMinutes(5))', ""),
    ("Store.kt", 'redis.opsForValue().set("challenge", challenge, 5, TimeUnit.MINUTES)', ""),
    ("store.ts", 'await redis.set("challenge", challenge, "EX", 300);', ""),
    ("store.ts", 'await client.set("challenge", challenge, { EX: 300 });', ""),
    ("store.py", 'redis.set("challenge", challenge, ex=300)', ""),
]


@pytest.mark.parametrize(("path", "line", "rest"), TIMED)
def test_a_limit_of_minutes_is_one(path: str, line: str, rest: str) -> None:
    """A literal, a constant of the file, a span, or a setting that is called a time to live."""
    head = {"kt": "fun keep(challenge: String) {", "ts": "async function keep(challenge) {"}
    kind = path.rpartition(".")[2]
    lines = [rest, head.get(kind, "def keep(challenge):"), f"    {line}", "}" * (kind != "py")]
    finding = Finding(tool="a", rule=EXPIRY, severity=Severity.LOW, message="", path=path)
    text = "\n".join(lines) + "\n"
    said = sound(finding, Flagged(path=path, text=text, line=3, end_line=3, whole=True))
    assert said is not None
    assert "time to live" in said
