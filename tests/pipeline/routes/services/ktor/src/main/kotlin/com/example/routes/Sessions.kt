package com.example.routes

import io.ktor.server.response.*
import io.ktor.server.routing.*

fun Route.sessions() {
    listOf("web", "mobile").forEach { println(it) }
    get("/sessions") {
        // h:sessions.list
        val rows = client.get("/users/me")
        call.respond(rows)
    }
    delete("/sessions/{id}") { /* h:sessions.end */ call.respondText("bye") }
}

fun orders(root: Route) {
    root.route(Paths.ORDERS) {
        get("/{id}/invoice.{format}") {
            // h:orders.invoice
            call.respondText("invoice")
        }
        get("/{id}") {
            // h:orders.find
            call.respondText("order")
        }
        get("/open") {
            // h:orders.open
            call.respondText("open")
        }
        get(Regex("(?<year>\\d{4})/(?<month>\\d{2})")) {
            // h:orders.month
            call.respondText("month")
        }
    }
}
