package notes

import java.sql.Connection
import java.sql.ResultSet
import javax.sql.DataSource

data class Note(val id: Long, val owner: String, val title: String, val body: String)

class NoteStore(private val pool: DataSource) {

    fun byOwner(owner: String): List<Note> = pool.connection.use { conn ->
        val rows = conn.createStatement().executeQuery("SELECT * FROM notes WHERE owner = '" + owner + "'")
        rows.toNotes()
    }

    fun byTitle(title: String): List<Note> = pool.connection.use { conn ->
        val rows = conn.createStatement().executeQuery("SELECT * FROM notes WHERE title = '" + title + "'")
        rows.toNotes()
    }

    fun search(owner: String, words: String): List<Note> = pool.connection.use { conn ->
        val sql = "SELECT * FROM notes WHERE owner = '$owner' AND body LIKE '%$words%'"
        conn.createStatement().executeQuery(sql).toNotes()
    }

    fun sorted(column: String): List<Note> = pool.connection.use { conn ->
        conn.prepareStatement("SELECT * FROM notes ORDER BY $column").executeQuery().toNotes()
    }

    fun delete(title: String): Int = pool.connection.use { conn ->
        conn.createStatement().executeUpdate("DELETE FROM notes WHERE title = '" + title + "'")
    }

    fun archive(owner: String): Int = pool.connection.use { conn ->
        conn.createStatement().executeUpdate("UPDATE notes SET archived = true WHERE owner = '" + owner + "'")
    }

    fun recent(conn: Connection, limit: Int): List<Note> =
        conn.prepareStatement("SELECT * FROM notes ORDER BY id DESC LIMIT ?")
            .apply { setInt(1, limit) }
            .executeQuery()
            .toNotes()

    private fun ResultSet.toNotes(): List<Note> = buildList {
        while (next()) {
            add(Note(getLong("id"), getString("owner"), getString("title"), getString("body")))
        }
    }
}
