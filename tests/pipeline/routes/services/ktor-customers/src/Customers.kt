package com.sample.routes
import io.ktor.server.routing.*
fun Route.customerRouting(repository: CustomerRepository) {
    route("/customer") {
        get {
            if (repository.isEmpty()) { call.respondText("none") } else { call.respond(repository) } // h:customer.list
        }
        get("{id?}") {
            val id = call.parameters["id"] ?: return@get call.respondText("Missing id", status = HttpStatusCode.BadRequest)
            call.respond(id) // h:customer.find
        }
        post {
            call.respondText("stored") // h:customer.create
        }
        delete("{id?}") {
            call.respond("") // h:customer.delete
        }
    }
}
fun Application.registerOrderRoutes() {
    routing {
        listOrdersRoute()
        totalizeOrderRoute()
    }
}
fun Route.listOrdersRoute() {
    get("/order") { call.respond("h:order.list") }
}
fun Route.totalizeOrderRoute() {
    get("/order/{id?}/total") {
        call.respond(1) // h:order.total
    }
}
