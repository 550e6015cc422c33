package notes

import io.ktor.http.HttpHeaders
import io.ktor.http.HttpMethod
import io.ktor.server.application.Application
import io.ktor.server.application.install
import io.ktor.server.plugins.cors.routing.CORS
import io.ktor.server.routing.routing
import io.ktor.server.sessions.Sessions
import io.ktor.server.sessions.cookie

data class UserSession(val user: String, val admin: Boolean)

fun Application.notes(ceremonies: Ceremonies) {
    install(CORS) {
        anyHost()
        allowCredentials = true
        allowHeader(HttpHeaders.Authorization)
        allowMethod(HttpMethod.Delete)
    }

    install(Sessions) {
        cookie<UserSession>("session") {
            cookie.path = "/"
            cookie.secure = false
            cookie.httpOnly = false
            cookie.extensions["SameSite"] = "None"
        }
        cookie<Preferences>("preferences") {
            cookie.path = "/"
            cookie.secure = false
        }
    }

    routing {
        passkeys(ceremonies)
        attachments()
    }
}
