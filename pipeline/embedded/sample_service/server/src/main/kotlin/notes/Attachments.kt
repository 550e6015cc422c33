package notes

import io.ktor.http.content.streamProvider
import io.ktor.server.application.call
import io.ktor.server.request.receiveStream
import io.ktor.server.response.respondBytes
import io.ktor.server.response.respondFile
import io.ktor.server.response.respondText
import io.ktor.server.routing.Route
import io.ktor.server.routing.delete
import io.ktor.server.routing.get
import io.ktor.server.routing.post
import java.io.File
import java.net.URL
import java.security.MessageDigest

private const val ROOT = "attachments"

fun Route.attachments() {
    get("/attachments/{name}") {
        val name = call.parameters["name"]!!
        call.respondFile(File(ROOT, name))
    }

    post("/attachments/{name}") {
        val name = call.parameters["name"]!!
        File(ROOT, name).outputStream().use { out -> call.receiveStream().copyTo(out) }
        call.respondText(checksum(File(ROOT, name).readBytes()))
    }

    delete("/attachments/{name}") {
        val name = call.parameters["name"]!!
        File("$ROOT/$name").delete()
        call.respondText("gone")
    }

    get("/preview") {
        val address = call.request.queryParameters["url"]!!
        call.respondBytes(URL(address).readBytes())
    }

    get("/thumbnail") {
        val name = call.request.queryParameters["name"]!!
        Runtime.getRuntime().exec("convert $ROOT/$name -resize 64x64 /var/cache/notes/$name.png").waitFor()
        call.respondFile(File("/var/cache/notes/$name.png"))
    }
}

fun checksum(bytes: ByteArray): String =
    MessageDigest.getInstance("SHA-1").digest(bytes).joinToString("") { "%02x".format(it) }
