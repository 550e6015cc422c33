"""Java and Kotlin: queries get parameters where their values are plain to see."""

from collections.abc import Callable

import pytest

Mend = Callable[..., str | None]

MENDED = [
    # rule, path, before, after; whole files
    (
        "kotlin.lang.security.formatted-sql-string",
        "Notes.kt",
        """\
package notes

class NoteStore(private val pool: DataSource) {
    fun byOwner(owner: String): List<Note> = pool.connection.use { conn ->
        val rows = conn.createStatement().executeQuery("SELECT * FROM notes WHERE owner = '" + owner + "'")
        rows.toNotes()
    }
}
""",
        """\
package notes

class NoteStore(private val pool: DataSource) {
    fun byOwner(owner: String): List<Note> = pool.connection.use { conn ->
        val rows = conn.prepareStatement("SELECT * FROM notes WHERE owner = ?").apply { setString(1, owner) }.executeQuery()
        rows.toNotes()
    }
}
""",
    ),
    (
        "kotlin.lang.security.formatted-sql-string",
        "Notes.kt",
        """\
class NoteStore(private val conn: Connection) {
    fun search(owner: String, words: String): List<Note> {
        val sql = "SELECT * FROM notes WHERE owner = '$owner' AND body LIKE '%$words%'"
        return conn.createStatement().executeQuery(sql).toNotes()
    }
}
""",
        """\
class NoteStore(private val conn: Connection) {
    fun search(owner: String, words: String): List<Note> {
        val sql = "SELECT * FROM notes WHERE owner = ? AND body LIKE ?"
        return conn.prepareStatement(sql).apply { setString(1, owner); setString(2, "%$words%") }.executeQuery().toNotes()
    }
}
""",
    ),
    (
        "sqli",
        "Notes.kt",
        """\
class NoteStore(private val conn: Connection) {
    fun count(id: Long, user: User): Int {
        conn.createStatement().use { statement ->
            val rows = statement.executeQuery("select count(*) from notes where id = $id and owner = '${user.name}'")
            rows.next()
            return rows.getInt(1)
        }
    }

    fun remove(id: Long) = conn.createStatement().use { it.executeUpdate("delete from notes where id = $id") }
}
""",
        """\
class NoteStore(private val conn: Connection) {
    fun count(id: Long, user: User): Int {
        conn.prepareStatement("select count(*) from notes where id = ? and owner = ?").use { statement ->
            statement.setLong(1, id)
            statement.setObject(2, user.name)
            val rows = statement.executeQuery()
            rows.next()
            return rows.getInt(1)
        }
    }

    fun remove(id: Long) = conn.prepareStatement("delete from notes where id = ?").use { it.setLong(1, id); it.executeUpdate() }
}
""",
    ),
    (
        "sqli",
        "Notes.kt",
        '''\
class NoteStore(private val conn: Connection) {
    fun find(title: String): ResultSet {
        val rows = conn.createStatement().executeQuery(
            """
            SELECT *
            FROM notes
            WHERE title = '$title'
            """.trimIndent()
        )
        return rows
    }
}
''',
        '''\
class NoteStore(private val conn: Connection) {
    fun find(title: String): ResultSet {
        val rows = conn.prepareStatement(
            """
            SELECT *
            FROM notes
            WHERE title = ?
            """.trimIndent()
        ).apply { setString(1, title) }.executeQuery()
        return rows
    }
}
''',
    ),
    (
        "java.lang.security.audit.formatted-sql-string.formatted-sql-string",
        "Users.java",
        """\
package users;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

class Users {
    boolean known(Connection conn, String name, int age) throws SQLException {
        Statement statement = conn.createStatement();
        ResultSet rows = statement.executeQuery("SELECT 1 FROM users "
            + "WHERE name = '" + name + "' AND age > " + age);
        return rows.next();
    }
}
""",
        """\
package users;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

class Users {
    boolean known(Connection conn, String name, int age) throws SQLException {
        PreparedStatement statement = conn.prepareStatement("SELECT 1 FROM users "
            + "WHERE name = ? AND age > ?");
        statement.setString(1, name);
        statement.setInt(2, age);
        ResultSet rows = statement.executeQuery();
        return rows.next();
    }
}
""",
    ),
    (
        "java.lang.security.audit.formatted-sql-string.formatted-sql-string",
        "Users.java",
        """\
package users;

import java.sql.Statement;

class Users {
    boolean known(Connection conn, String name) throws SQLException {
        String query = "SELECT 1 FROM users WHERE name LIKE '%" + name + "%' LIMIT 1";
        try (Statement s = conn.createStatement()) {
            return s.executeQuery(query).next();
        }
    }
}
""",
        """\
package users;

import java.sql.PreparedStatement;
import java.sql.Statement;

class Users {
    boolean known(Connection conn, String name) throws SQLException {
        String query = "SELECT 1 FROM users WHERE name LIKE ? LIMIT 1";
        try (PreparedStatement s = conn.prepareStatement(query)) {
            s.setString(1, "%" + name + "%");
            return s.executeQuery().next();
        }
    }
}
""",
    ),
    (
        "java.lang.security.audit.formatted-sql-string.formatted-sql-string",
        "Users.java",
        """\
class Users {
    int drop(Connection conn, String id) throws SQLException {
        return conn.createStatement().executeUpdate("DELETE FROM users WHERE id = " + id);
    }
}
""",
        """\
import java.sql.PreparedStatement;

class Users {
    int drop(Connection conn, String id) throws SQLException {
        PreparedStatement statement = conn.prepareStatement("DELETE FROM users WHERE id = ?");
        statement.setLong(1, Long.parseLong(id));
        return statement.executeUpdate();
    }
}
""",
    ),
]

LEFT = [
    # what gets no fix: rule, path, text
    (
        "formatted-sql-string",
        "A.kt",
        """\
fun sorted(conn: Connection, column: String) =
    conn.createStatement().executeQuery("SELECT * FROM notes ORDER BY $column")
""",
    ),
    (
        "formatted-sql-string",
        "A.kt",
        """\
fun all(conn: Connection, table: String) =
    conn.createStatement().executeQuery("SELECT * FROM $table WHERE id = 1")
""",
    ),
    (
        "formatted-sql-string",
        "A.kt",
        """\
fun some(conn: Connection, ids: String) =
    conn.createStatement().executeQuery("SELECT * FROM notes WHERE id IN ($ids)")
""",
    ),
    (
        "formatted-sql-string",
        "A.kt",
        """\
fun mixed(conn: Connection, name: String) =
    conn.createStatement().executeQuery("SELECT * FROM notes WHERE owner = ? AND name = '$name'")
""",
    ),
    (
        "formatted-sql-string",
        "A.kt",
        """\
fun price(conn: Connection) =
    conn.createStatement().executeQuery("SELECT * FROM notes WHERE price = '\\\\$5'")
""",
    ),
    (
        "formatted-sql-string",
        "A.java",
        """\
class A {
    void twice(Connection conn, String name) throws SQLException {
        Statement statement = conn.createStatement();
        statement.executeUpdate("DELETE FROM notes WHERE owner = '" + name + "'");
        statement.executeUpdate("DELETE FROM users WHERE name = '" + name + "'");
    }
}
""",
    ),
    (
        "formatted-sql-string",
        "A.java",
        """\
class A {
    void both(Connection conn, String name) throws SQLException {
        try (Statement s = conn.createStatement();
             ResultSet rows = s.executeQuery("SELECT 1 FROM users WHERE name = '" + name + "'")) {
            rows.next();
        }
    }
}
""",
    ),
    (
        "formatted-sql-string",
        "A.java",
        """\
class A {
    void built(Connection conn, String name, boolean all) throws SQLException {
        String sql = "SELECT 1 FROM users WHERE name = '" + name + "'";
        if (all) {
            sql += " OR 1 = 1";
        }
        conn.createStatement().executeQuery(sql);
    }
}
""",
    ),
    (
        "formatted-sql-string",
        "A.java",
        """\
class A {
    void sum(Connection conn, int a, int b) throws SQLException {
        conn.createStatement().executeQuery("SELECT 1 FROM users WHERE age = " + (a + b) * 2);
    }
}
""",
    ),
    (
        "formatted-sql-string",
        "A.java",
        """\
class A {
    void passed(Connection conn, boolean any, String name) throws SQLException {
        if (any) conn.createStatement().executeQuery("SELECT 1 FROM users WHERE name = '" + name + "'");
    }
}
""",
    ),
    (
        "formatted-sql-string",
        "A.java",
        """\
class A {
    int drop(Connection conn, UUID id) throws SQLException {
        return conn.createStatement().executeUpdate("DELETE FROM users WHERE id = '" + id + "'");
    }

    int later(Connection conn, String name) throws SQLException {
        String sql = "DELETE FROM users WHERE name = '" + name + "'";
        name = "nobody";
        return conn.createStatement().executeUpdate(sql);
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
