package org.example.library.loans

import io.ktor.http.*
import io.ktor.server.application.*
import io.ktor.server.response.*
import io.ktor.server.routing.*

class LoanController(private val repository: LoanRepository) {
    fun register(parent: Route) {
        parent.route("/loans") {
            get(::list)
            post("/{bookId}") { borrow(call) }
            delete("/{bookId}") { giveBack(call) }
            patch("/{bookId}/extend") {
                // h:extendLoan
                call.respond(repository.extend(call.parameters["bookId"]!!))
            }
        }
    }

    private suspend fun list(context: RoutingContext) {
        // h:listLoans
        context.call.respond(repository.all())
    }

    private suspend fun borrow(call: ApplicationCall) {
        // h:borrow
        call.respond(HttpStatusCode.Created)
    }

    private suspend fun giveBack(call: ApplicationCall) {
        // h:giveBack
        call.respond(HttpStatusCode.NoContent)
    }
}
