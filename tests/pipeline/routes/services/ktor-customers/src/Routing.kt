package com.sample
import com.sample.routes.customerRouting
import io.ktor.server.application.*
import io.ktor.server.routing.*
fun Application.configureRouting(repository: CustomerRepository = CustomerRepository()) {
    routing {
        customerRouting(repository)
        route("api") {
            route("v1") { health(); metrics { "x" } }
        }
        swaggerUI(path = "openapi")
    }
}
fun Route.health() {
    get("/health") { call.respond(HttpStatusCode.OK) /* h:health */ }
}
fun Route.metrics(body: () -> String) {
    get("metrics", {
        call.respondText(body()) // h:metrics
    })
}
