package http

import io.ktor.server.auth.authenticate
import io.ktor.server.response.respondText
import io.ktor.server.routing.Route
import io.ktor.server.routing.RoutingContext

fun Route.adminOnly(build: Route.() -> Unit): Route = authenticate("admin") { build() }

suspend fun RoutingContext.respondVersion() {
    // h:version
    call.respondText("1")
}
