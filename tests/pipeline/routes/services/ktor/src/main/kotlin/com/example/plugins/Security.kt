package com.example.plugins

import io.ktor.server.application.*
import io.ktor.server.auth.*
import io.ktor.server.response.*
import io.ktor.server.routing.*

fun Application.configureSecurity() {
    install(Authentication) {
        basic("admin") { validate { null } }
    }
    routing {
        post("/login") {
            // h:login
            call.respondText("token")
        }
        authenticate("admin", optional = true) {
            rateLimit(RateLimitName("slow")) {
                get("/whoami") {
                    // h:whoami
                    call.respondText("you")
                }
            }
        }
    }
}
