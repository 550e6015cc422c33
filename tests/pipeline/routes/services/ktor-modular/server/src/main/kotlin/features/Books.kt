package features

import io.ktor.server.request.receive
import io.ktor.server.routing.*

class BookController {
    private val base = "books"

    fun routes(route: Route) {
        route.route(base) {
            get {
                // h:books.list
                call.respond(find(call.request.queryParameters["q"]))
            }
            post<NewBook> { book ->
                // h:books.create
                call.respond(book)
            }
            get("{isbn}") { show(call) /* h:books.show */ }
            get("{isbn}/cover/{size?}") {
                // h:books.cover
                call.respondBytes(ByteArray(0))
            }
            put("/{isbn}") { call.respondText("h:books.put") }
        }
    }

    private suspend fun show(call: ApplicationCall) {
        call.respondText(call.parameters["isbn"].orEmpty())
    }
}
