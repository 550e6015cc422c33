"""Java, Kotlin and passkeys: what looks like a weakness that can be mended, and is not."""

from collections.abc import Callable

import pytest

Mend = Callable[..., str | None]
LEFT = [
    # rule, path, text
    (
        "formatted-sql-string",
        "A.kt",
        """\
import java.sql.*
class A(val conn: Connection) {
  fun f(a: String, n: Int, esc: (String) -> String): ResultSet {
    return conn.createStatement().executeQuery("SELECT * FROM t WHERE price > $a")
  }
}
""",
    ),
    (
        "formatted-sql-string",
        "A.kt",
        """\
import java.sql.*
class A(val conn: Connection) {
  fun f(a: String, n: Int, esc: (String) -> String): ResultSet {
    return conn.createStatement().executeQuery("SELECT * FROM t WHERE a = 'it''s $a'")
  }
}
""",
    ),
    (
        "formatted-sql-string",
        "A.kt",
        """\
import java.sql.*
class A(val conn: Connection) {
  fun f(a: String, n: Int, esc: (String) -> String): ResultSet {
    return conn.createStatement().executeQuery("SELECT * FROM t WHERE ts > now() - INTERVAL '$n days'")
  }
}
""",
    ),
    (
        "formatted-sql-string",
        "A.kt",
        """\
import java.sql.*
class A(val conn: Connection) {
  fun f(a: String, n: Int, esc: (String) -> String): ResultSet {
    return conn.createStatement().executeQuery("SELECT * FROM t WHERE d = DATE '$a'")
  }
}
""",
    ),
    (
        "formatted-sql-string",
        "A.kt",
        """\
import java.sql.*
class A(val conn: Connection) {
  fun f(a: String, n: Int, esc: (String) -> String): ResultSet {
    return conn.createStatement().executeQuery("CREATE USER x IDENTIFIED BY '$a'")
  }
}
""",
    ),
    (
        "formatted-sql-string",
        "A.kt",
        """\
import java.sql.*
class A(val conn: Connection) {
  fun f(a: String, n: Int, esc: (String) -> String): ResultSet {
    return conn.createStatement().executeQuery("SELECT * FROM t WHERE a = '" + escape(a) + "'")
  }
}
""",
    ),
    (
        "formatted-sql-string",
        "A.kt",
        """\
import java.sql.*
class A(val conn: Connection) {
  fun f(a: String, n: Int, esc: (String) -> String): ResultSet {
    return conn.createStatement().executeQuery("SELECT * FROM t WHERE a = ${quote(a)}")
  }
}
""",
    ),
    (
        "formatted-sql-string",
        "A.kt",
        """\
import java.sql.*
class A(val conn: Connection) {
  fun f(a: String, n: Int, esc: (String) -> String): ResultSet {
    return conn.createStatement().executeQuery("SELECT '$a' AS label, b FROM t")
  }
}
""",
    ),
    (
        "formatted-sql-string",
        "A.kt",
        """\
import java.sql.*
class A(val conn: Connection) {
  fun f(a: String, n: Int, esc: (String) -> String): ResultSet {
    return conn.createStatement().executeQuery("SELECT * FROM t WHERE a = '${this.name}'")
  }
}
""",
    ),
    (
        "formatted-sql-string",
        "A.kt",
        """\
import java.sql.*
class A(val conn: Connection) {
  fun f(a: String, n: Int, esc: (String) -> String): ResultSet {
    return conn.createStatement().executeQuery("SET search_path TO '$a'")
  }
}
""",
    ),
    (
        "formatted-sql-string",
        "A.kt",
        """\
import java.sql.*
class A(val conn: Connection, val warnings: String) {
  fun f(): ResultSet = conn.createStatement().executeQuery("SELECT * FROM t WHERE w = '$warnings'")
}
""",
    ),
    (
        "formatted-sql-string",
        "A.java",
        """\
import java.sql.*;
class A { Connection conn;
  void log(Statement s) throws SQLException { s.executeUpdate("DELETE FROM log"); }
  void f(String a) throws SQLException {
    Statement s = conn.createStatement();
    s.executeUpdate("DELETE FROM t WHERE a = '" + a + "'");
    log(s);
  }
}
""",
    ),
    (
        "formatted-sql-string",
        "A.java",
        """\
import java.sql.*;
class A { Connection conn;
  void f(String a) throws SQLException {
    Statement s = conn.createStatement();
    s.executeUpdate("DELETE FROM t WHERE a = '" + a + "'");
    s.executeLargeUpdate("DELETE FROM u");
  }
}
""",
    ),
    (
        "formatted-sql-string",
        "A.java",
        """\
import java.sql.*;
class A { Connection conn;
  int f(int i) throws SQLException {
    String sql = "SELECT * FROM t WHERE i = " + i;
    i++;
    ResultSet rs = conn.createStatement().executeQuery(sql);
    return i;
  }
}
""",
    ),
    (
        "jpa-sqli",
        "A.kt",
        """\
import javax.jcr.query.Query
class A(val queryManager: javax.jcr.query.QueryManager) {
  fun f(v: String) = queryManager.createQuery("SELECT * FROM [nt:base] WHERE x = '" + v + "'", Query.JCR_SQL2)
}
""",
    ),
    (
        "spring-sqli",
        "A.java",
        """\
import org.springframework.jdbc.core.namedparam.*; import org.springframework.jdbc.core.*;
class A { NamedParameterJdbcTemplate namedParameterJdbcTemplate;
  Object g(String v, RowMapper<String> m) { return namedParameterJdbcTemplate.query("SELECT x FROM t WHERE y = '" + v + "'", m); }
}
""",
    ),
    (
        "sqli",
        "A.kt",
        """\
class A(val db: SQLiteDatabase) {
  fun f(n: Int) = db.rawQuery("SELECT o FROM t GROUP BY o HAVING COUNT(*) > $n", null)
  fun g(n: Int) = db.rawQuery("SELECT o FROM t WHERE id = $n", null)
}
""",
    ),
    (
        "sqli",
        "A.kt",
        """\
class A(val db: SQLiteDatabase) {
  fun g(n: Int, s: String) = db.rawQuery("SELECT o FROM t WHERE length(x) = $n AND s = '$s'", null)
}
""",
    ),
    (
        "formatted-sql-string",
        "A.kt",
        """\
import java.sql.*
class A(val conn: Connection) {
  fun f(a: String, n: Int, esc: (String) -> String): ResultSet {
    return conn.createStatement().executeQuery("SELECT * FROM t WHERE a = '$a' ESCAPE '$a'")
  }
}
""",
    ),
    (
        "formatted-sql-string",
        "A.kt",
        """\
import java.sql.*
class A(val conn: Connection) {
  fun f(a: String, n: Int, esc: (String) -> String): ResultSet {
    return conn.createStatement().executeQuery("SELECT * FROM t WHERE j->>'$a' = 'b'")
  }
}
""",
    ),
    (
        "weak-random",
        "Sprite.kt",
        """\
import java.util.Random

class Sprite {
    fun place(key: String): Int {
        val source = Random()
        return source.nextInt(100)
    }
}
""",
    ),
    (
        "cookie-without-httponly-flag",
        "Csrf.java",
        """\
class Csrf {
    void answer(HttpServletResponse response) {
        Cookie cookie = new Cookie("XSRF-TOKEN", "b");
        cookie.setSecure(true);
        cookie.setHttpOnly(false);
        response.addCookie(cookie);
    }
}
""",
    ),
    (
        "hrs-request-parameter-to-cookie",
        "Set.java",
        """\
class Set {
    void answer(HttpServletResponse response, String value) {
        Cookie cookie = new Cookie("theme", value);
        response.addCookie(cookie);
    }
}
""",
    ),
    (
        "cookie-missing-secure-flag",
        "Cookies.java",
        """\
class Cookies {
    ResponseCookie embedded() {
        return ResponseCookie.from("a", "b").secure(true).build();
    }

    ResponseCookie cookie(ResponseCookieBuilder cookie) {
        return cookie.sameSite("None").build();
    }
}
""",
    ),
    (
        "too-generic-exception-caught",
        "Routes.kt",
        """\
suspend fun answer(call: ApplicationCall) {
    val logger = logger()
    try {
        work()
    } catch (e: Exception) {
        call.respond("Failed: ${e.message}")
    }
}
""",
    ),
    (
        "webauthn-challenge-storage-without-expiry",
        "Store.kt",
        """\
class ChallengeStore(private val redisSettings: Settings) {
    fun keep(challenge: String) {
        redisSettings.set("challenge", challenge)
    }
}
""",
    ),
    (
        "webauthn-challenge-storage-without-expiry",
        "Store.kt",
        """\
class ChallengeStore(private val redis: RedisClient) {
    suspend fun keep(challenge: String) {
        redis.set("challenge", challenge)
    }
}
""",
    ),
    (
        "webauthn-challenge-storage-without-expiry",
        "Store.kt",
        """\
class ChallengeStore {
    fun newChallenge(): ByteArray = ByteArray(8).also { random.nextBytes(it) }
}
""",
    ),
    (
        "webauthn-challenge-too-short",
        "Frame.kt",
        """\
fun packChallenge(): ByteArray {
    val lengthPrefix = ByteArray(4)
    return lengthPrefix
}
""",
    ),
    (
        "webauthn-user-verification",
        "Policy.java",
        """\
class Policy {
    boolean isLax(UserVerificationRequirement asked) {
        return asked.equals(UserVerificationRequirement.PREFERRED);
    }
}
""",
    ),
    (
        "webauthn-credential-validation-bypass",
        "Login.kt",
        """\
fun login(service: SignIn): String {
    val result = service.finishAssertion("answer")
    return result.token
}
""",
    ),
    (
        "webauthn-origin-validation",
        "verify.ts",
        """\
// webauthn
export const isOurs = (clientData: ClientData) => suffixes.some((each) => clientData.origin.endsWith(each));
""",
    ),
    (
        "webauthn-counter",
        "Pages.kt",
        """\
fun next(page: Page, last: Page) {
    if (page.counter < last.counter) {
        throw IllegalStateException("backwards")
    }
}
""",
    ),
    (
        "path-traversal",
        "Up.java",
        """\
import java.nio.file.*;

class Up {
    Path both(Path base, String first, String second) {
        return base.resolve(first).resolve(second);
    }
}
""",
    ),
    (
        "path-traversal",
        "Links.java",
        """\
import java.net.URI;

class Links {
    private URI base;

    URI link(String rel) {
        return base.resolve(rel);
    }
}
""",
    ),
    (
        "pending-intent-mutable",
        "Reply.kt",
        """\
fun reply(context: Context, intent: Intent, input: RemoteInput): Action {
    val sent = PendingIntent.getBroadcast(context, 1, intent, PendingIntent.FLAG_UPDATE_CURRENT)
    return Action.Builder(0, "Reply", sent).addRemoteInput(input).build()
}
""",
    ),
    (
        "cors",
        "Sharing.java",
        """\
class Sharing {
    void share(CorsRegistry registry) {
        registry.addMapping("/api").allowedOrigins("https://a.example").allowCredentials(true);
        registry.addMapping("/public").allowedOrigins("*");
    }
}
""",
    ),
]


@pytest.mark.parametrize(("rule", "path", "text"), LEFT)
def test_what_is_not_certain_is_left(mend: Mend, rule: str, path: str, text: str) -> None:
    """No fix: it would not compile, would not do what the code did, or mends something else."""
    assert mend(path, text, rule) is None


def test_a_second_statement_of_a_function_gets_a_name_of_its_own(mend: Mend) -> None:
    """Two declarations of one name would not compile."""
    before = """\
import java.sql.*;

class Rows {
    void drop(Connection conn, String name, String kind) throws SQLException {
        conn.createStatement().executeUpdate("DELETE FROM t WHERE name = '" + name + "'");
        conn.createStatement().executeUpdate("DELETE FROM t WHERE kind = '" + kind + "'");
    }
}
"""
    after = mend("Rows.java", before, "formatted-sql-string")
    assert after is not None
    assert "PreparedStatement statement = " in after
    assert "PreparedStatement statement2 = " in after
    assert "statement2.setString(1, kind);" in after


def test_a_lambdas_own_name_has_no_type_of_the_class(mend: Mend) -> None:
    """`id` of the lambda is a text, whatever the class's `id` is."""
    before = """\
class Rows(private val conn: Connection, val id: Long) {
    fun drop(ids: List<String>) {
        ids.forEach { id ->
            conn.createStatement().executeUpdate("DELETE FROM t WHERE id = $id")
        }
    }
}
"""
    after = mend("Rows.kt", before, "formatted-sql-string")
    assert after is not None
    assert "setObject(1, id)" in after


@pytest.mark.parametrize(
    "sql", ["a IN ('$a', 'x')", "a = '$a'::uuid", "f('$a') = 1", "a LIKE '%' || '$a' || '%'"]
)
def test_a_text_where_sql_takes_an_expression_is_bound(mend: Mend, sql: str) -> None:
    """Behind a bracket, a comma or `||` a parameter may stand."""
    before = f"""\
class Rows(private val conn: Connection) {{
    fun find(a: String) = conn.createStatement().executeQuery("SELECT * FROM t WHERE {sql}")
}}
"""
    after = mend("Rows.kt", before, "formatted-sql-string")
    assert after is not None
    assert sql.replace("'$a'", "?") in after


def test_a_property_of_a_file_is_mended_where_it_is_made(mend: Mend) -> None:
    """No statement may stand beside the functions of a Kotlin file."""
    before = """\
import javax.xml.parsers.*

val factory: DocumentBuilderFactory = DocumentBuilderFactory.newInstance()

fun build() = factory.newDocumentBuilder()
"""
    after = mend("Xml.kt", before, "xxe")
    assert after is not None
    assert "newInstance().apply { setFeature(" in after
