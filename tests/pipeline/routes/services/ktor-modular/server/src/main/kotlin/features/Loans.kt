package features

import io.ktor.server.routing.*

class LoanController(private val books: BookController) {
    fun Route.endpoints() {
        get {
            // h:loans.list
            call.respondText("loans")
        }
        patch("/{id}/extend") {
            // h:loans.extend
            call.respondText("extended")
        }
        history()
    }

    private fun Route.history() {
        get("/history/{year}/{month}") {
            // h:loans.history
            call.respondText("history")
        }
    }
}
