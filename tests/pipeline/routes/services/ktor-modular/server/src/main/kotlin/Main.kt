import features.BookController
import features.LoanController
import http.adminOnly
import http.respondVersion
import io.ktor.http.HttpMethod
import io.ktor.server.engine.embeddedServer
import io.ktor.server.netty.Netty
import io.ktor.server.routing.*

private const val PREFIX = "library"

fun main() {
    val books = BookController()
    val loans = LoanController(books)

    embeddedServer(Netty, port = 9000) {
        routing {
            trace { println(it.buildText()) }
            route("/$PREFIX") {
                books.routes(this)
                route("loans") { loans.apply { endpoints() } }
                adminOnly {
                    delete("/cache") {
                        // h:cache.clear
                        call.respond(HttpStatusCode.NoContent)
                    }
                    if (System.getenv("DEBUG") != null) {
                        get("/threads") {
                            // h:threads
                            call.respondText("")
                        }
                    }
                }
            }
            get("/version", RoutingContext::respondVersion)
            get("/") { call.respondRedirect("/$PREFIX/books") /* h:root */ }
            singlePageApplication { filesPath = "web" }
        }
    }.start(wait = true)
}
