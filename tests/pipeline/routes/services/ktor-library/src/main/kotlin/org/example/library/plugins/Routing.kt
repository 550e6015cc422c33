package org.example.library.plugins

import io.ktor.http.*
import io.ktor.server.application.*
import io.ktor.server.auth.*
import io.ktor.server.http.content.*
import io.ktor.server.plugins.ratelimit.*
import io.ktor.server.request.*
import io.ktor.server.response.*
import io.ktor.server.routing.*
import org.example.library.Paths
import org.example.library.books.BookService
import org.example.library.books.bookRoutes
import org.example.library.loans.LoanController
import org.koin.ktor.ext.inject

fun Application.configureRouting() {
    val books by inject<BookService>()
    val loans by inject<LoanController>()

    install(IgnoreTrailingSlash)

    routing {
        staticResources("/assets", "static")
        get {
            // h:home
            call.respondRedirect("/catalog")
        }
        route(Paths.API) {
            route(Paths.V1) {
                bookRoutes(books)
                authenticate(USER_AUTH) {
                    rateLimit(RateLimitName("protected")) {
                        loans.register(this)
                    }
                }
            }
            route("v2") {
                get("books/{isbn}") {
                    // h:bookV2
                    call.respond(books.byIsbnV2(call.parameters["isbn"]!!))
                }
            }
            get("{...}") {
                // h:apiUnknown
                call.respond(HttpStatusCode.NotFound)
            }
        }
        get(Regex("/isbn/(?<isbn>\\d{13})")) {
            // h:isbnRedirect
            call.respondRedirect("/api/v1/books/" + call.parameters["isbn"])
        }
        route("/{lang}/catalog") {
            get("{page?}") {
                // h:catalogPage
                call.respond(books.page(call.parameters["page"]?.toInt() ?: 1))
            }
        }
        route("/webhooks/{provider}", HttpMethod.Post) {
            handle {
                // h:webhook
                call.respond(HttpStatusCode.Accepted)
            }
        }
    }
}
