package com.example.admin

import com.example.Paths
import io.ktor.server.auth.*
import io.ktor.server.response.*
import io.ktor.server.routing.*

class AdminRoutes(private val log: AuditLog) {
    fun Route.register() {
        authenticate("admin") {
            get(Paths.Admin.AUDIT) {
                // h:audit
                call.respond(log.rows())
            }
            route(Paths.Admin.ROOT) {
                get("/") {
                    // h:admin.home
                    call.respondText("home")
                }
                head("/state") {
                    // h:admin.state
                    call.respondText("")
                }
                options("/state") {
                    // h:admin.options
                    call.respondText("")
                }
            }
        }
    }
}

class ReportRoutes {
    fun Route.register() {
        get("/reports/{id}") {
            // h:reports.find
            call.respondText("report")
        }
    }
}
