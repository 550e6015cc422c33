"""Java and Kotlin: queries of Spring, JPA and Android."""

from collections.abc import Callable

import pytest

Mend = Callable[..., str | None]

MENDED = [
    # rule, path, before, after; whole files
    (
        "java.spring.security.injection.tainted-sql-string",
        "Users.java",
        """\
class Users {
    List<User> named(String name) {
        return jdbcTemplate.query("SELECT * FROM users WHERE name = '" + name + "'", mapper);
    }

    void rename(String name, long id) {
        String sql = "UPDATE users SET name = '" + name + "' WHERE id = " + id;
        jdbcTemplate.update(sql);
    }
}
""",
        """\
class Users {
    List<User> named(String name) {
        return jdbcTemplate.query("SELECT * FROM users WHERE name = ?", mapper, name);
    }

    void rename(String name, long id) {
        String sql = "UPDATE users SET name = ? WHERE id = ?";
        jdbcTemplate.update(sql, name, id);
    }
}
""",
    ),
    (
        "jpa-sqli",
        "Users.java",
        """\
class Users {
    User named(String name, String mail) {
        return em.createQuery("SELECT u FROM User u WHERE u.name = '" + name + "' AND u.mail = '" + mail + "'", User.class)
            .getSingleResult();
    }

    List<Object> rows(String name) {
        return em.createNativeQuery("select * from users where name = '" + name + "'").getResultList();
    }
}
""",
        """\
class Users {
    User named(String name, String mail) {
        return em.createQuery("SELECT u FROM User u WHERE u.name = :name AND u.mail = :mail", User.class).setParameter("name", name).setParameter("mail", mail)
            .getSingleResult();
    }

    List<Object> rows(String name) {
        return em.createNativeQuery("select * from users where name = ?1").setParameter(1, name).getResultList();
    }
}
""",
    ),
    (
        "android-sqli",
        "Store.kt",
        """\
class Store(private val db: SQLiteDatabase) {
    fun find(name: String): Cursor = db.rawQuery("SELECT * FROM people WHERE name = '$name'", null)

    fun forget(id: Long) {
        db.execSQL("DELETE FROM people WHERE id = $id")
    }
}
""",
        """\
class Store(private val db: SQLiteDatabase) {
    fun find(name: String): Cursor = db.rawQuery("SELECT * FROM people WHERE name = ?", arrayOf(name))

    fun forget(id: Long) {
        db.execSQL("DELETE FROM people WHERE id = ?", arrayOf(id.toString()))
    }
}
""",
    ),
]

LEFT = [
    # what gets no fix: rule, path, text
    (
        "spring-sqli",
        "A.kt",
        """\
fun named(name: String) =
    jdbcTemplate.query("SELECT * FROM users WHERE name = '$name'") { rows, _ -> rows.getString(1) }
""",
    ),
    (
        "jpa-sqli",
        "A.java",
        """\
class A {
    Query sorted(String column) {
        return em.createQuery("SELECT u FROM User u ORDER BY u." + column);
    }
}
""",
    ),
    (
        "android-sqli",
        "A.kt",
        """\
fun drop(db: SQLiteDatabase, table: String) {
    db.execSQL("DROP TABLE $table")
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
