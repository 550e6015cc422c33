package org.example.library.books

import io.ktor.http.*
import io.ktor.server.application.*
import io.ktor.server.request.*
import io.ktor.server.response.*
import io.ktor.server.routing.*
import org.example.library.Paths.BOOKS
import org.example.library.Paths.BOOK_ID

fun Route.bookRoutes(service: BookService) = route(BOOKS) {
    get {
        // h:listBooks
        call.respond(service.all())
    }
    post<NewBook> { body ->
        // h:createBook
        call.respond(HttpStatusCode.Created, service.create(body))
    }
    get("/search") {
        // h:searchBooks
        val q = call.request.queryParameters["q"]
        call.respond(service.search(q))
    }
    route("/$BOOK_ID") {
        get { call.getBook(service) }
        put("/cover") {
            // h:putCover
            service.saveCover(call.receiveStream())
        }
        head("/cover") {
            // h:headCover
            call.respond(HttpStatusCode.OK)
        }
        delete {
            // h:deleteBook
            service.delete(call.parameters["bookId"])
            call.respond(HttpStatusCode.NoContent)
        }
        get("/files/{path...}") {
            // h:bookFile
            val parts = call.parameters.getAll("path")
            call.respondFile(service.file(parts))
        }
    }
}

private suspend fun ApplicationCall.getBook(service: BookService) {
    // h:getBook
    respond(service.get(parameters["bookId"]!!))
}
